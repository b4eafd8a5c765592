//! How much of what was not read yet may be here.

use std::time::Duration;

/// The round trip from which on a window grows: on a shorter path one of 8 MiB lasts for three round trips at 1 Gbit/s, and a peer
/// that sends what nobody wants is not slowed down by the network.
pub(super) const LONG: Duration = Duration::from_millis(20);

/// With less than this nothing is held back to begin with, in bytes.
const WIDE_ENOUGH: u64 = 1 << 20;

/// Windows that are read without delay before the window doubles: more than an owner with queues of its own takes in before it
/// notices that it does not keep up.
const PROVEN: u64 = 8;

/// A quarter of what it may become, and twice as wide each time its reader has kept up for a while. So a peer that sends what
/// nobody reads fills a quarter, while a long path has all of it within seconds.
#[derive(Debug)]
pub(super) struct Window {
    len: u64,
    most: u64,
    /// Bytes that were read since the window was changed or the reader fell behind, up to when nothing was waiting.
    proven: u64,
    /// Bytes that were read since nothing was waiting.
    read: u64,
}

impl Window {
    /// Becomes `most` bytes at most.
    pub(super) fn new(most: u64) -> Self {
        Self { len: (most / 4).max(WIDE_ENOUGH).min(most), most, proven: 0, read: 0 }
    }

    /// In bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The owner has read `read` bytes, and could read `waiting` more. Much may be waiting at once, for something that was lost; a
    /// reader that keeps up is done with it before the next windowful.
    pub(super) fn handle_read(&mut self, read: u64, waiting: u64) {
        self.read += read;
        if self.read > self.len {
            (self.proven, self.read) = (0, 0);
        } else if waiting == 0 {
            self.proven += std::mem::take(&mut self.read);
        }
        if self.proven >= PROVEN * self.len && self.len < self.most {
            self.len = (2 * self.len).min(self.most);
            self.proven = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 32 << 20;
    const READ: u64 = 1 << 16;

    /// The window once so many bytes were read, `together` at a time.
    fn after(window: &mut Window, bytes: u64, together: u64) -> u64 {
        for _ in 0..bytes / together {
            for waiting in (0..together / READ).rev() {
                window.handle_read(READ, waiting * READ);
            }
        }
        window.len()
    }

    #[test]
    fn it_grows_for_a_reader_that_keeps_up_and_not_beyond_what_it_may_be() {
        let mut window = Window::new(MOST);
        assert_eq!(after(&mut window, 8 * (MOST / 4) - READ, READ), MOST / 4);
        assert_eq!(after(&mut window, READ, READ), MOST / 2);
        assert_eq!(after(&mut window, 8 * MOST, MOST / 4), MOST);
        assert_eq!(after(&mut window, 100 * MOST, READ), MOST);
    }

    #[test]
    fn it_stays_for_a_reader_that_falls_behind_now_and_then() {
        let mut window = Window::new(MOST);
        for _ in 0..100 {
            assert_eq!(after(&mut window, 7 * (MOST / 4), READ), MOST / 4);
            assert_eq!(after(&mut window, MOST, MOST), MOST / 4);
        }
    }

    #[test]
    fn a_small_one_is_there_as_a_whole() {
        assert_eq!(Window::new(1 << 18).len(), 1 << 18);
        assert_eq!(Window::new(2 << 20).len(), 1 << 20);
    }
}
