//! Memory from the beginning: what an instance begins with is used before it asks for more.
//!
//! The allocator's own way to memory leaves what the linker gave beyond stack and data alone, and asks for a page at its first allocation. In the gateway's pool
//! that is two system calls an instance, which stop all processors; and a policy is instantiated for every decision.

#![expect(unsafe_code, reason = "an allocator speaks of memory by address")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::UnsafeCell;
use core::ptr::{null_mut, with_exposed_provenance_mut};
use core::sync::atomic::{AtomicBool, Ordering};
use dlmalloc::{Allocator, Dlmalloc};

/// Of WebAssembly.
const PAGE_BYTES: usize = 64 * 1024;
/// What the allocator asks for is a multiple of this. Less than a page: what is left of one is worth using.
const STEP_BYTES: usize = 4 * 1024;

unsafe extern "C" {
    /// The linker's: its address is where the stack and static data end.
    static __heap_base: u8;
}

/// The instance's memory behind stack and data.
struct Memory {
    /// Something was handed out. Atomic for a static's sake: there is one thread.
    used: AtomicBool,
}

// SAFETY: what is handed out lies behind everything that the linker placed, at first, and behind all that was there before, from then on. Nobody else
// asks for memory: no other allocator is linked (wasi-libc's comes only with who calls it).
unsafe impl Allocator for Memory {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let none = (null_mut(), 0, 0);
        let Some(before) = memory_size::<0>().checked_mul(PAGE_BYTES) else { return none };
        let begin = if self.used.load(Ordering::Relaxed) { before } else { (&raw const __heap_base).expose_provenance() };
        let Some(end) = begin.checked_add(size).and_then(|end| end.checked_next_multiple_of(PAGE_BYTES)) else { return none };
        let end = end.max(before);
        if end > before && memory_grow::<0>((end - before) / PAGE_BYTES) == usize::MAX {
            return none;
        }
        self.used.store(true, Ordering::Relaxed);
        (with_exposed_provenance_mut(begin), end - begin, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_BYTES
    }
}

struct Heap(UnsafeCell<Dlmalloc<Memory>>);

// SAFETY: an instance has one thread, and the allocator calls nothing that would call it.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = {
    let mut heap = Dlmalloc::new_with_allocator(Memory { used: AtomicBool::new(false) });
    heap.set_granularity(STEP_BYTES);
    Heap(UnsafeCell::new(heap))
};

// SAFETY: by the allocator's own promises, whose terms are those of this trait; nothing else has the cell.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(block, layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(block, layout.size(), layout.align(), new_size) }
    }
}
