//! The allocator that counts: how many bytes the process has allocated, in the sizes that the allocator
//! hands out, is what `used_memory` and `maxmemory` mean. Each thread counts for itself and adds to the
//! sum now and then, so that counting takes a few instructions and no cache line is fought over; the
//! sum is wrong by less than [`FLUSH_BYTES`] a thread.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// A thread keeps at most so much to itself.
const FLUSH_BYTES: i64 = 16 << 10;
/// Above this the allocator rounds to pages.
const PAGED_BYTES: usize = 64 << 10;

static ALLOCATED: AtomicI64 = AtomicI64::new(0);
/// The most that it was since somebody asked.
static PEAK: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static KEPT: Cell<i64> = const { Cell::new(0) };
}

/// An allocator whose use is counted.
pub struct Counting<A>(pub A);

/// What the allocator takes for a request: steps of sixteen bytes, then four to every doubling.
#[inline]
const fn taken_bytes(bytes: usize) -> usize {
    if bytes <= 128 {
        (bytes + 15) & !15
    } else if bytes <= PAGED_BYTES {
        let step = 1 << (usize::BITS - 1 - (bytes - 1).leading_zeros() - 2);
        (bytes + step - 1) & !(step - 1)
    } else {
        (bytes + 4095) & !4095
    }
}

#[inline]
fn note(bytes: i64) {
    KEPT.with(|kept| {
        let sum = kept.get() + bytes;
        if sum.abs() < FLUSH_BYTES {
            kept.set(sum);
        } else {
            add(sum);
            kept.set(0);
        }
    });
}

fn add(sum: i64) {
    let now = ALLOCATED.fetch_add(sum, Relaxed) + sum;
    // Most of the time it is no new peak, and then nothing is written.
    if now > PEAK.load(Relaxed) {
        PEAK.fetch_max(now, Relaxed);
    }
}

/// Adds what this thread keeps to the sum: before it ends, or when it freed what others wait for.
pub fn flush() {
    KEPT.with(|kept| {
        add(kept.replace(0));
    });
}

/// Bytes allocated by all threads.
pub fn allocated_bytes() -> u64 {
    let kept = KEPT.with(Cell::get);
    u64::try_from(ALLOCATED.load(Relaxed) + kept).unwrap_or(0)
}

/// The most that was allocated since this was last asked.
pub fn take_peak_bytes() -> u64 {
    u64::try_from(PEAK.swap(ALLOCATED.load(Relaxed), Relaxed)).unwrap_or(0)
}

// The crate is named so that its symbols are there for whoever links this library.
use mimalloc as _;

unsafe extern "C" {
    fn mi_collect(force: bool);
}

/// Asks the allocator to give back what this thread does not use.
pub fn purge() {
    // SAFETY: the allocator's own function, safe at any time from any thread; it only gives back
    // pages that hold nothing.
    unsafe { mi_collect(true) };
}

// SAFETY: every call goes to the allocator inside with the arguments it came with, and its answer is
// given back; counting touches no memory of theirs and allocates nothing (the thread's cell is const
// and needs no destructor).
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { self.0.alloc(layout) };
        if !block.is_null() {
            note(taken_bytes(layout.size()) as i64);
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.0.dealloc(block, layout) };
        note(-(taken_bytes(layout.size()) as i64));
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { self.0.alloc_zeroed(layout) };
        if !block.is_null() {
            note(taken_bytes(layout.size()) as i64);
        }
        block
    }

    /// mimalloc leaves a block where it is until less than half of it is used. Whoever shrinks here does it
    /// to save memory, so a block that fits a smaller size is moved.
    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if taken_bytes(size) < taken_bytes(layout.size()) {
            // SAFETY: the caller promises that `size` with this alignment is a layout, and not empty.
            let smaller = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            // SAFETY: as above; the old block is read and freed as the caller promises it may be, and
            // the new one is another, with room for `size` bytes, which is less than the old one has.
            unsafe {
                let moved = self.alloc(smaller);
                if !moved.is_null() {
                    std::ptr::copy_nonoverlapping(block, moved, size);
                    self.dealloc(block, layout);
                }
                return moved;
            }
        }
        // SAFETY: the caller's promise is passed on.
        let moved = unsafe { self.0.realloc(block, layout, size) };
        if !moved.is_null() {
            note(taken_bytes(size) as i64 - taken_bytes(layout.size()) as i64);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_allocator() {
        let sizes = [1, 16, 17, 100, 128, 129, 160, 161, 1000, 4096, 4097, 70_000];
        assert_eq!(sizes.map(taken_bytes), [16, 16, 32, 112, 128, 160, 160, 192, 1024, 4096, 5120, 73_728]);
    }

    #[test]
    fn a_block_that_shrinks_is_moved_whole() {
        let counting = Counting(std::alloc::System);
        let layout = Layout::from_size_align(4096, 1).unwrap();
        // SAFETY: layouts are not empty, only bytes of living blocks are touched, and each block is freed
        // with the layout it has.
        unsafe {
            let block = counting.alloc(layout);
            (0..4096).for_each(|at| block.add(at).write(at as u8));
            let moved = counting.realloc(block, layout, 2700);
            assert!((0..2700).all(|at| moved.add(at).read() == at as u8));
            counting.dealloc(moved, Layout::from_size_align(2700, 1).unwrap());
        }
    }

    #[test]
    fn what_is_allocated_and_freed_again_leaves_nothing() {
        let counting = Counting(std::alloc::System);
        let layout = Layout::from_size_align(1 << 20, 16).unwrap();
        let before = allocated_bytes();
        // SAFETY: the layout is not empty, and the block is freed with the layout it was made with.
        let block = unsafe { counting.alloc(layout) };
        assert!(allocated_bytes() >= before + (1 << 19));
        // SAFETY: as above.
        unsafe { counting.dealloc(block, layout) };
        assert!(allocated_bytes() < before + (1 << 19));
        assert!(take_peak_bytes() >= before + (1 << 19), "nobody looked meanwhile, and it is known");
    }
}
