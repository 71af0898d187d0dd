//! Bytes that nobody meant to send, for everything that reads bytes: each file of `corpus/<target>` as
//! it is, then seeded neighbours of it. What once broke something stays in the corpus.
//!
//! Promises that are tested: no panic, memory within a cap, errors that say something, and what each
//! target adds. `VEDETTE_FUZZ_SECONDS=600 cargo test --test tests fuzz::` looks longer, at each target.

pub mod bench;
mod mutate;
mod peak;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vedette::stdx::Rng;

type Verdict = Result<(), String>;

struct Target {
    name: &'static str,
    /// Of each file, in a normal run.
    mutations: u64,
    memory_max: u64,
    /// What is broken, if something is; the number is a chance of its own.
    judge: fn(&[u8], &mut Rng) -> Verdict,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name)
}

fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let files =
        std::fs::read_dir(folder(name)).unwrap_or_else(|error| panic!("no corpus of {name}: {error}"));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {name} is empty");
    let read = |path: PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())
    };
    files.into_iter().map(read).collect()
}

impl Target {
    fn run(&self) {
        let files = corpus(self.name);
        for (name, bytes) in &files {
            self.check(name, 0, bytes);
        }
        let long = std::env::var("VEDETTE_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
        let until = long.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let mut seed = 1;
        while until.map_or(seed <= self.mutations, |until| Instant::now() < until) {
            for (name, bytes) in &files {
                let mut rng = Rng::with_seed(seed);
                let other = &files[rng.usize(..files.len())].1;
                self.check(name, seed, &mutate::mutate(&mut rng, bytes, other));
            }
            seed += 1;
        }
    }

    fn check(&self, file: &str, seed: u64, input: &[u8]) {
        let mut rng = Rng::with_seed(seed);
        let judged = || catch_unwind(AssertUnwindSafe(|| (self.judge)(input, &mut rng)));
        let (verdict, held) = peak::of(judged);
        let complaint = match verdict {
            Err(_) => "it panicked".to_owned(),
            Ok(Err(what)) => what,
            Ok(Ok(())) if held > self.memory_max => format!("it held {held} bytes"),
            Ok(Ok(())) => return,
        };
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}-{file}-{seed}", self.name));
        std::fs::write(&kept, input).unwrap();
        panic!(
            "{} of {file} with seed {seed}: {complaint}; mend it and move {} into {}",
            self.name,
            kept.display(),
            folder(self.name).display()
        );
    }
}
