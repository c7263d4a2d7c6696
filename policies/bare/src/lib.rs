//! What a component needs that has no standard library: memory, and an end for what must not happen.
//!
//! The standard library of `wasm32-wasip2` imports WASI: to print a panic's message, and to look whether a backtrace is wanted. A policy
//! must import nothing, so policies are written with `core` and `alloc`, and name this crate: `use bare as _;`.

#![no_std]

#[cfg(all(target_family = "wasm", feature = "heap"))]
mod heap;

#[cfg(target_family = "wasm")]
mod runtime {
    #![expect(unsafe_code, reason = "memory is handed to the host by address, as the component model wants it")]

    extern crate alloc;

    use alloc::alloc::{Layout, alloc, realloc};
    use core::arch::wasm32::unreachable;
    use core::panic::PanicInfo;
    use core::ptr::{null_mut, without_provenance_mut};

    // For `memcpy` and its sisters alone, which compiled code calls by itself. The standard library would have named it.
    #[link(name = "c")]
    unsafe extern "C" {}

    /// Ends the instance; nobody could read a message.
    #[panic_handler]
    fn end(_: &PanicInfo<'_>) -> ! {
        unreachable()
    }

    /// Through this the host finds room for what it passes in. wasi-libc's own would bring a second allocator.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
        let layout = |size| Layout::from_size_align(size, align).ok();
        let new = match (layout(old_size), size) {
            // Nothing needs no room, but its address has to be aligned.
            (_, 0) => without_provenance_mut(align),
            (Some(old_layout), _) if old_layout.size() > 0 => unsafe { realloc(old, old_layout, size) },
            _ => layout(size).map_or(null_mut(), |layout| unsafe { alloc(layout) }),
        };
        if new.is_null() { unreachable() } else { new }
    }
}
