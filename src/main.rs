//! argv to one daemon or one command; nothing else lives here.

use vedette::daemon::memory_meter::Counting;

#[global_allocator]
static ALLOCATOR: Counting<mimalloc::MiMalloc> = Counting(mimalloc::MiMalloc);

fn main() -> std::process::ExitCode {
    vedette::cli::main()
}
