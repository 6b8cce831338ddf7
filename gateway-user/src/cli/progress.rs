//! How far long work has come, on a terminal.

use std::io::{self, Write as _};

/// Marks of a full bar.
const WIDTH: i64 = 30;

/// A line that is written over and over.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    terminal: bool,
}

impl Progress {
    /// Nothing is shown where nobody looks.
    pub(super) fn new(terminal: bool) -> Self {
        Self { shown: false, terminal }
    }

    /// So many calls are done, which is `part` of `whole`.
    pub(super) fn show(&mut self, calls: u64, part: i64, whole: i64) -> io::Result<()> {
        if !self.terminal {
            return Ok(());
        }
        self.shown = true;
        let mut err = io::stderr();
        write!(err, "\r{}", bar(calls, part, whole))?;
        err.flush()
    }

    /// Leaves the line as it was before.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.shown) {
            write!(io::stderr(), "\r\u{1b}[K")?;
        }
        Ok(())
    }
}

fn bar(calls: u64, part: i64, whole: i64) -> String {
    let filled = if whole > 0 { (part.saturating_mul(WIDTH) / whole).clamp(0, WIDTH) } else { WIDTH };
    let percent = if whole > 0 { (part.saturating_mul(100) / whole).clamp(0, 100) } else { 100 };
    let marks = |n: i64, mark: &str| mark.repeat(usize::try_from(n).unwrap_or_default());
    format!("[{}{}] {percent:>3} %  {calls} calls", marks(filled, "#"), marks(WIDTH - filled, "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills() {
        assert_eq!(bar(0, 0, 10), "[..............................]   0 %  0 calls");
        assert_eq!(bar(5, 5, 10), "[###############...............]  50 %  5 calls");
        assert_eq!(bar(7, 0, 0), "[##############################] 100 %  7 calls");
    }
}
