//! Program text that only the start needed is given back. The kernel maps sixteen pages for each one that
//! is touched, and a start touches most of a large program; a sentinel at rest needs a small part of it.
//!
//! Promise: nothing but the mapping of unchanged bytes of the program's own file is dropped; what is needed
//! again comes from the page cache at a page fault's cost. Has never heard of what the program does.

use rustix::mm::{Advice, madvise};
use std::ffi::c_void;
use std::ops::Range;

/// Drops the mapped pages of this program's text.
pub(super) fn let_go() {
    let Ok(program) = std::fs::read_link("/proc/self/exe") else { return };
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    let Some(program) = program.to_str() else { return };
    for range in maps.lines().filter_map(|line| text(line, program)) {
        // SAFETY: the range is a mapping of this process, of a file that nobody can write while it runs
        // (ETXTBSY), and never writable: what is dropped is read back from the file as it was.
        let _ = unsafe { madvise(range.start as *mut c_void, range.len(), Advice::LinuxDontNeed) };
    }
}

/// Where the mapping of a line of /proc/self/maps is, if it is text of `program` (proc(5)).
fn text(line: &str, program: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    if words.next()? != "r-xp" || words.nth(3)? != program {
        return None;
    }
    let address = |word| usize::from_str_radix(word, 16).ok();
    Some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_of_the_program_itself_is_meant() {
        let line = |permissions, path| format!("5600-5700 {permissions} 00001000 fd:00 42   {path}");
        assert_eq!(text(&line("r-xp", "/usr/bin/vedette"), "/usr/bin/vedette"), Some(0x5600..0x5700));
        assert_eq!(text(&line("rw-p", "/usr/bin/vedette"), "/usr/bin/vedette"), None);
        assert_eq!(text(&line("r--p", "/usr/bin/vedette"), "/usr/bin/vedette"), None);
        assert_eq!(text(&line("r-xp", "/lib/libc.so.6"), "/usr/bin/vedette"), None);
        assert_eq!(text("5600-5700 r-xp 00000000 00:00 0", "/usr/bin/vedette"), None);
    }

    /// Of the mapping of the text of this program, in KiB (proc(5), smaps).
    fn resident_kib() -> u64 {
        let program = std::fs::read_link("/proc/self/exe").unwrap();
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = smaps.lines().skip_while(|line| text(line, program.to_str().unwrap()).is_none());
        let rss = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
    }

    /// Other tests run meanwhile and touch text of their own, hence more than one try.
    #[test]
    fn text_leaves_the_memory_and_the_program_goes_on() {
        let shrank = || {
            let before = resident_kib();
            let_go();
            resident_kib() < before
        };
        assert!((0..20).any(|_| shrank()));
    }
}
