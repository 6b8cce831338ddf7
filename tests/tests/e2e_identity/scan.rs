//! Looks for texts in everything that processes have: memory, environment, command line, open files.

use std::{
    fs,
    io::{self, ErrorKind, Read as _},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chaperone_tests::harness::Cgroup;
use rustix::io::Errno;

/// Bytes looked at in one go.
const PIECE: usize = 1 << 20;
/// No page is smaller.
const PAGE: u64 = 4096;

/// The processes in a cgroup.
pub(crate) fn processes(cgroup: &Cgroup) -> Vec<u32> {
    let text = fs::read_to_string(cgroup.procs()).unwrap();
    text.lines().map(|pid| pid.parse().unwrap()).collect()
}

/// Where each of the texts was found, and how much was searched.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    needles: Vec<(String, Vec<u8>)>,
    /// `WHAT in WHERE`.
    pub(crate) found: Vec<String>,
    /// Bytes of memory.
    pub(crate) memory: usize,
    /// Bytes of files.
    pub(crate) files: usize,
}

impl Scan {
    /// For these texts or bytes, each with what it is called: as they are, in hex, and in base64.
    pub(crate) fn new(needles: &[(&str, impl AsRef<[u8]>)]) -> Self {
        let needles = needles.iter().flat_map(|(name, needle)| {
            let needle = needle.as_ref();
            assert!(needle.len() >= 12, "a short text is found anywhere");
            let hex = hex::encode(needle);
            let mut forms = vec![
                ((*name).to_owned(), needle.to_vec()),
                (format!("{name}, in capital hex"), hex.to_uppercase().into()),
                (format!("{name}, in hex"), hex.into()),
            ];
            forms.extend((0..3).map(|before| (format!("{name}, in base64"), in_base64(needle, before))));
            forms
        });
        Self { needles: needles.collect(), ..Self::default() }
    }

    /// All of these processes.
    pub(crate) fn processes(&mut self, pids: &[u32]) {
        for pid in pids {
            let dir = format!("/proc/{pid}");
            for name in ["environ", "cmdline"] {
                self.file(Path::new(&dir).join(name).as_path());
            }
            self.memory(&dir);
            for fd in fs::read_dir(format!("{dir}/fd")).unwrap() {
                let fd = fd.unwrap().path();
                // Its target may be gone: the descriptor leads to the file all the same.
                if fs::metadata(&fd).is_ok_and(|metadata| metadata.is_file()) {
                    self.file(&fd);
                }
            }
        }
    }

    /// Every file below this directory.
    pub(crate) fn directory(&mut self, dir: &Path) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                self.directory(&entry.path());
            } else if kind.is_file() {
                self.file(&entry.path());
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let mut bytes = Vec::new();
        fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).unwrap();
        self.files += bytes.len();
        self.look(&bytes, &path.to_string_lossy());
    }

    /// Every mapping that can be read, also those without the right to: proc(5), `/proc/pid/mem`.
    fn memory(&mut self, dir: &str) {
        let memory = fs::File::open(format!("{dir}/mem")).unwrap();
        let maps = fs::read_to_string(format!("{dir}/maps")).unwrap();
        for line in maps.lines() {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            if i64::try_from(start).is_err() {
                // [vsyscall] is the kernel's half of the address space.
                continue;
            }
            self.mapping(start..end, &format!("{dir}/mem {line}"), |piece, at| memory.read_at(piece, at));
        }
    }

    /// One mapping, as `read` has it piece by piece.
    fn mapping(
        &mut self,
        Range { start: mut at, end }: Range<u64>,
        place: &str,
        read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
    ) {
        let overlap = self.needles.iter().map(|(_, needle)| needle.len()).max().unwrap_or(0);
        let mut piece = vec![0; overlap + PIECE];
        // How much of what was read last is kept before what is read next.
        let mut kept = 0;
        while at < end {
            let length = usize::try_from(end - at).unwrap().min(PIECE);
            match read(&mut piece[kept..kept + length], at) {
                Ok(0) => break,
                Ok(read) => {
                    self.memory += read;
                    let there = kept + read;
                    self.look(&piece[..there], place);
                    kept = overlap.min(there);
                    piece.copy_within(there - kept..there, 0);
                    at += read as u64;
                }
                // A page of the kernel's own, such as of [vvar], or one that is not there.
                Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                    kept = 0;
                    at = at - at % PAGE + PAGE;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{place}: {error}"),
            }
        }
    }

    fn look(&mut self, bytes: &[u8], place: &str) {
        for (name, needle) in &self.needles {
            if memchr::memmem::find(bytes, needle).is_some() {
                self.found.push(format!("{name} in {place}"));
            }
        }
    }
}

/// What is the same in the base64 of all texts that have so many bytes (and a multiple of three) before the needle.
fn in_base64(needle: &[u8], before: usize) -> Vec<u8> {
    let text = STANDARD.encode([&vec![0; before], needle].concat());
    // Four characters stand for three bytes; those at the ends may stand for bytes beside the needle, too.
    let start = if before == 0 { 0 } else { 4 };
    let end = (before + needle.len()) / 3 * 4;
    text.as_bytes()[start..end].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDLE: &str = "a-needle-of-some-length";

    /// What is found in a mapping from `start` with these pages; one that is not there cannot be read. No read
    /// gives more than `most`.
    fn found(pages: &[Option<Vec<u8>>], most: usize) -> usize {
        let start = 16 * PAGE;
        let read = |piece: &mut [u8], at: u64| {
            let at = usize::try_from(at - start).unwrap();
            let page = usize::try_from(PAGE).unwrap();
            let Some(bytes) = &pages[at / page] else { return Err(Errno::IO.into()) };
            let rest = &bytes[at % page..];
            let length = rest.len().min(piece.len()).min(most);
            piece[..length].copy_from_slice(&rest[..length]);
            Ok(length)
        };
        let mut scan = Scan::new(&[("needle", NEEDLE)]);
        scan.mapping(start..start + pages.len() as u64 * PAGE, "here", read);
        scan.found.len()
    }

    fn page(offset: usize, text: &[u8]) -> Option<Vec<u8>> {
        let mut page = vec![0; usize::try_from(PAGE).unwrap()];
        page[offset..offset + text.len()].copy_from_slice(text);
        Some(page)
    }

    #[test]
    fn what_lies_behind_a_page_that_cannot_be_read_is_found() {
        let there = || page(100, NEEDLE.as_bytes());
        assert_eq!(found(&[None, there()], PIECE), 1);
        assert_eq!(found(&[page(0, b""), None, None, there()], PIECE), 1);
        assert_eq!(found(&[page(0, b""), None], PIECE), 0);
    }

    #[test]
    fn what_lies_across_two_reads_is_found() {
        let (first, second) = NEEDLE.as_bytes().split_at(7);
        let across = [page(usize::try_from(PAGE).unwrap() - 7, first), page(0, second)];
        assert_eq!(found(&across, PIECE), 1);
        for most in [1, 5, 1000] {
            assert!(found(&across, most) > 0, "{most}");
        }
    }

    #[test]
    fn every_form_is_found_wherever_it_begins() {
        let form = |text: Vec<u8>| found(&[page(50, &text)], PIECE) > 0;
        assert!(form(hex::encode(NEEDLE).into()) && form(hex::encode_upper(NEEDLE).into()));
        for before in ["", "a", "ab", "abc"] {
            assert!(form(STANDARD.encode(format!("{before}{NEEDLE}:and more")).into()), "{before}");
        }
        assert!(!form(STANDARD.encode("a-needle-of-no-length").into()));
    }
}
