//! No architecture: the program is for arm64, and this is another.

compile_error!("vm_anon_name runs on arm64; `cargo xtask build` builds it from any host");
