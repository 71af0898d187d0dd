//! Locks: mutual exclusion and fences in a simulated world, and `vedette lock` over real servers.

mod processes;
mod simulation;
mod world;
