//! The allocator of the process: what is freed by work that handles secrets is overwritten first.
//!
//! Libraries give memory back as it is, so what they made of a secret would stay until the same memory happens to be used
//! again. To overwrite all that anybody frees would cost each request; so only [`wiped`] work does, on the thread and for
//! the time that it runs.

#![expect(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use zeroize::Zeroize as _;

#[global_allocator]
static ALLOCATOR: Wiping<System> = Wiping(System);

thread_local! {
    /// True while this thread runs work that is wiped. It needs no memory of its own and no destructor, so an allocator may ask.
    static WIPES: Cell<bool> = const { Cell::new(false) };
}

/// `work`, leaving nothing behind in the memory that it frees: neither what it gives back while it runs, nor itself.
pub(crate) async fn wiped<W: Future>(work: W) -> W::Output {
    let mut work = Wiped(Some(Box::pin(work)));
    std::future::poll_fn(|cx| work.poll(cx)).await
}

/// Work that has not ended.
struct Wiped<W>(Option<Pin<Box<W>>>);

impl<W: Future> Wiped<W> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<W::Output> {
        let _scope = Scope::new();
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let polled = work.as_mut().poll(cx);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<W> Drop for Wiped<W> {
    fn drop(&mut self) {
        let _scope = Scope::new();
        self.0 = None;
    }
}

/// While it lives, what this thread frees is wiped.
struct Scope {
    before: bool,
}

impl Scope {
    fn new() -> Self {
        Self { before: WIPES.replace(true) }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        WIPES.set(self.before);
    }
}

/// An allocator that wipes for [`Scope`].
struct Wiping<A>(A);

// SAFETY: all memory is that of `A`, which is asked for each piece with the layout it was asked for and given back as such;
// what is written before that is the piece's own bytes, which its user has given up.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same promises to us.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same promises to us.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if WIPES.get() {
            // SAFETY: the caller gives up so many bytes here, whatever is in them.
            unsafe { std::slice::from_raw_parts_mut(at.cast::<MaybeUninit<u8>>(), layout.size()) }.zeroize();
        }
        // SAFETY: the caller keeps the same promises to us.
        unsafe { self.0.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !WIPES.get() {
            // SAFETY: the caller keeps the same promises to us.
            return unsafe { self.0.realloc(at, layout, size) };
        }
        // SAFETY: the caller promises that the size, rounded up to the alignment, is one that a layout can have.
        let larger = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the size is not zero, as the caller promises.
        let new = unsafe { self.alloc(larger) };
        if !new.is_null() {
            // SAFETY: both are at least so large, and the new piece is no part of the old one, which is given up here.
            unsafe {
                std::ptr::copy_nonoverlapping(at, new, size.min(layout.size()));
                self.dealloc(at, layout);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use std::cell::UnsafeCell;

    use super::*;

    const SECRET: &[u8] = b"AWS4wJalrXUtnFEMI";

    /// Gives out one page from the front, and takes nothing back: what was freed can be looked at.
    struct Page {
        bytes: UnsafeCell<[u8; 4096]>,
        used: Cell<usize>,
    }

    // SAFETY: pieces are parts of the page that do not overlap; no size here needs more alignment than a byte.
    unsafe impl GlobalAlloc for Page {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let from = self.used.get();
            self.used.set(from + layout.size());
            // SAFETY: the tests below use less than a page.
            unsafe { self.bytes.get().cast::<u8>().add(from) }
        }

        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }

    /// How often the secret is in the page after it was written, moved to a larger piece, and freed.
    fn left_behind() -> usize {
        let page = Wiping(Page { bytes: UnsafeCell::new([0; 4096]), used: Cell::new(0) });
        let (small, large) = (Layout::array::<u8>(SECRET.len()).unwrap(), Layout::array::<u8>(100).unwrap());
        // SAFETY: each piece is used within its layout, and freed once with it; nobody has a piece when the page is read.
        let bytes = unsafe {
            let at = page.alloc(small);
            std::ptr::copy_nonoverlapping(SECRET.as_ptr(), at, SECRET.len());
            let at = page.realloc(at, small, large.size());
            assert_eq!(std::slice::from_raw_parts(at, SECRET.len()), SECRET, "it moves as it is");
            page.dealloc(at, large);
            *page.0.bytes.get()
        };
        bytes.windows(SECRET.len()).filter(|window| *window == SECRET).count()
    }

    #[tokio::test]
    async fn only_work_that_handles_secrets_leaves_nothing_behind() {
        assert_eq!(left_behind(), 2, "both pieces stay as they are");
        let work = async {
            let first = left_behind();
            // Something else has the thread meanwhile, and is not wiped.
            tokio::task::yield_now().await;
            (first, left_behind())
        };
        let other = async { left_behind() };
        assert_eq!(tokio::join!(wiped(work), other), ((0, 0), 2));
        assert_eq!(left_behind(), 2);
    }

    #[tokio::test]
    async fn work_that_is_broken_off_is_wiped_too() {
        struct Last(std::rc::Rc<Cell<usize>>);
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.set(left_behind());
            }
        }
        let seen = std::rc::Rc::new(Cell::new(7));
        let last = Last(seen.clone());
        let mut work = Box::pin(wiped(async move {
            let _last = last;
            std::future::pending::<()>().await;
        }));
        assert!(work.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
        drop(work);
        assert_eq!(seen.get(), 0);
    }
}
