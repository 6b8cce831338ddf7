//! What a thread allocates while it does something.
//!
//! A program that wants to know makes [`Counting`] its allocator; in any other, nothing is counted.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// Allocations of one thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allocated {
    /// How often memory was asked for; more of it for what there is already counts again.
    pub count: u64,
    /// Bytes of all of them, whether or not they were given back since: memory that was in use at once
    /// cannot have been more.
    pub bytes: u64,
    /// Bytes of the largest.
    pub largest: u64,
}

impl Allocated {
    /// One more.
    fn and(self, bytes: usize) -> Self {
        let bytes = bytes as u64;
        Self {
            count: self.count.saturating_add(1),
            bytes: self.bytes.saturating_add(bytes),
            largest: self.largest.max(bytes),
        }
    }

    /// Both one after the other.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self {
            count: self.count.saturating_add(next.count),
            bytes: self.bytes.saturating_add(next.bytes),
            largest: self.largest.max(next.largest),
        }
    }
}

thread_local! {
    // Without a destructor and without an allocation of its own, so the allocator may use it at any time.
    static SO_FAR: Cell<Allocated> = const { Cell::new(Allocated { count: 0, bytes: 0, largest: 0 }) };
}

thread_local! {
    // Bytes that are in use now, below zero where older ones were given back, and the most of them so far.
    static IN_USE: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

/// What this thread allocates while it does `work`. Counting does not nest.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, Allocated) {
    SO_FAR.set(Allocated::default());
    let done = work();
    (done, SO_FAR.take())
}

/// The most bytes that were in use at once while this thread did `work`, beyond those it had before. Only what this
/// thread asks for and gives back is counted; it does not nest.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, u64) {
    IN_USE.set((0, 0));
    let done = work();
    let (_, most) = IN_USE.take();
    (done, u64::try_from(most).unwrap_or_default())
}

/// The system's allocator, which counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counting;

fn count(bytes: usize) {
    SO_FAR.set(SO_FAR.get().and(bytes));
}

fn in_use(taken: usize, given_back: usize) {
    let (now, most) = IN_USE.get();
    let now = now.saturating_add_unsigned(taken as u64).saturating_sub_unsigned(given_back as u64);
    IN_USE.set((now, most.max(now)));
}

// SAFETY: every call is passed on as it is, and counting touches no memory but a `Cell` of this thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        in_use(layout.size(), 0);
        // SAFETY: the caller keeps what `GlobalAlloc::alloc` demands.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        in_use(layout.size(), 0);
        // SAFETY: the caller keeps what `GlobalAlloc::alloc_zeroed` demands.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // Both may exist for a moment, while one is copied into the other.
        in_use(size, 0);
        in_use(0, layout.size());
        // SAFETY: the caller keeps what `GlobalAlloc::realloc` demands; the memory is the system's.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        in_use(0, layout.size());
        // SAFETY: the caller keeps what `GlobalAlloc::dealloc` demands; the memory is the system's.
        unsafe { System.dealloc(memory, layout) }
    }
}
