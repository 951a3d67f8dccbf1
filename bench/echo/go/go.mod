module skein-bench-echo

go 1.19
