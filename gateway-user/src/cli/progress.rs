//! How far long work has come, on a terminal.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

/// How often work that does not tell by itself is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// The line of standard error that is written over and over, where somebody looks. That it cannot be written is no
/// reason to end the work.
#[derive(Debug)]
pub(super) struct Line {
    terminal: bool,
    shown: bool,
}

impl Line {
    /// Nothing is shown where standard error is no terminal.
    pub(super) fn stderr() -> Self {
        Self { terminal: io::stderr().is_terminal(), shown: false }
    }

    #[cfg(test)]
    pub(super) fn hidden() -> Self {
        Self { terminal: false, shown: false }
    }

    /// Shows `text` in place of what was shown before.
    pub(super) fn show(&mut self, text: &str) {
        if self.terminal {
            self.shown = true;
            let _ = write!(io::stderr(), "\r\x1b[K{text}");
        }
    }

    /// Leaves the line as it was before.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Does `work`, and shows meanwhile what `text` says, where it says something.
pub(super) async fn watched<T>(work: impl Future<Output = T>, text: impl Fn() -> Option<String>) -> T {
    let mut line = Line::stderr();
    let mut work = std::pin::pin!(work);
    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            done = &mut work => {
                line.clear();
                return done;
            }
            _ = looks.tick(), if line.terminal => {
                if let Some(text) = text() {
                    line.show(&text);
                }
            }
        }
    }
}

/// A bar for `part` of `whole`, full where there is nothing to do.
pub(super) fn bar(part: u64, whole: u64) -> String {
    const WIDTH: u64 = 30;
    let of = |most: u64| part.min(whole).saturating_mul(most).checked_div(whole).unwrap_or(most);
    let cells: String = (0..WIDTH).map(|cell| if cell < of(WIDTH) { '#' } else { '.' }).collect();
    format!("[{cells}] {:>3} %", of(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills() {
        assert_eq!(bar(0, 10), "[..............................]   0 %");
        assert_eq!(bar(5, 10), "[###############...............]  50 %");
        assert_eq!(bar(12, 10), "[##############################] 100 %");
        assert_eq!(bar(0, 0), "[##############################] 100 %");
    }
}
