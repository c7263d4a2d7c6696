//! What Rust's standard library asks of libc on `wasm32-wasip2` and Debian's wasi-libc of 2022 lacks: threads, sockets, `realpath`.
//!
//! Without these a guest that so much as mentions `TcpStream` fails to link. Each function is an honest error: a guest under
//! Gatehouse gets a refusal for sockets and threads in any case, so only the error's number differs from a newer libc. Linked as
//! one object; what a guest does not use is dropped by the linker (`--gc-sections`). Used by `debian-sysroot.sh` alone.
#![no_std]

use core::ffi::{c_char, c_int, c_long, c_void};
use core::ptr::null_mut;

// wasi-libc's numbers, which are WASI preview 1's, and not those of any other system.
const EAGAIN: c_int = 6;
const ENOMEM: c_int = 48;
const ENOSYS: c_int = 52;
const EAI_FAIL: c_int = -4;
const F_OK: c_int = 0;
const PATH_BYTES_MAX: usize = 4096;

type Ptr = *mut c_void;

unsafe extern "C" {
    static mut errno: c_int;
    fn access(path: *const c_char, mode: c_int) -> c_int;
    fn getcwd(buffer: *mut c_char, size: usize) -> *mut c_char;
    fn malloc(size: usize) -> Ptr;
    fn strlen(text: *const c_char) -> usize;
}

/// Fails the way system calls do: -1, and the reason in `errno`.
fn refuse() -> c_int {
    // SAFETY: wasm guests have one thread, so nobody else touches `errno`.
    unsafe { errno = ENOSYS };
    -1
}

/// Functions that take some arguments, look at none of them, and return one fixed answer.
macro_rules! stubs {
    ($($name:ident($($argument:ty),*) -> $result:ty = $answer:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($(_: $argument),*) -> $result { $answer }
    )*};
}

stubs! {
    // Preparing a thread works, starting it does not: `std::thread::spawn` then returns the error of the start.
    pthread_attr_init(Ptr) -> c_int = 0;
    pthread_attr_destroy(Ptr) -> c_int = 0;
    pthread_attr_setstacksize(Ptr, usize) -> c_int = 0;
    pthread_create(Ptr, Ptr, Ptr, Ptr) -> c_int = EAGAIN;
    pthread_join(Ptr, Ptr) -> c_int = EAGAIN;
    pthread_detach(Ptr) -> c_int = EAGAIN;

    socket(c_int, c_int, c_int) -> c_int = refuse();
    bind(c_int, Ptr, u32) -> c_int = refuse();
    listen(c_int, c_int) -> c_int = refuse();
    connect(c_int, Ptr, u32) -> c_int = refuse();
    getsockname(c_int, Ptr, Ptr) -> c_int = refuse();
    getpeername(c_int, Ptr, Ptr) -> c_int = refuse();
    setsockopt(c_int, c_int, c_int, Ptr, u32) -> c_int = refuse();
    sendto(c_int, Ptr, usize, c_int, Ptr, u32) -> c_long = refuse() as c_long;
    recvfrom(c_int, Ptr, usize, c_int, Ptr, Ptr) -> c_long = refuse() as c_long;

    getaddrinfo(Ptr, Ptr, Ptr, Ptr) -> c_int = EAI_FAIL;
    freeaddrinfo(Ptr) -> () = ();
    gai_strerror(c_int) -> *const c_char = c"this guest has no name look-up".as_ptr();
}

/// An absolute path of something that is there. Links are not followed: a grant is a folder, and the host keeps a guest inside it.
///
/// # Safety
///
/// As for `realpath` of POSIX: `path` is a C string, `resolved` is null or has room for `PATH_MAX` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn realpath(path: *const c_char, resolved: *mut c_char) -> *mut c_char {
    // SAFETY: the caller's promise; and `buffer` has room for a working directory, a slash, the path and its end.
    unsafe {
        if access(path, F_OK) != 0 {
            return null_mut();
        }
        let length = strlen(path);
        let buffer = if resolved.is_null() { malloc(PATH_BYTES_MAX + length + 2).cast() } else { resolved };
        if buffer.is_null() {
            errno = ENOMEM;
            return null_mut();
        }
        let mut start = 0;
        if *path != b'/' as c_char {
            if getcwd(buffer, PATH_BYTES_MAX).is_null() {
                return null_mut();
            }
            start = strlen(buffer);
            *buffer.add(start) = b'/' as c_char;
            start += 1;
        }
        core::ptr::copy_nonoverlapping(path, buffer.add(start), length + 1);
        buffer
    }
}
