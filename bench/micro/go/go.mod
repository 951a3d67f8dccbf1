module skein-bench-micro

go 1.19
