//! Looks for texts in everything that processes have: memory, environment, command line, open files.

use std::{
    fs,
    io::{ErrorKind, Read as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use chaperone_tests::harness::Cgroup;
use rustix::io::Errno;

/// Bytes looked at in one go.
const PIECE: usize = 1 << 20;

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
    /// For these texts, each with what it is called.
    pub(crate) fn new(needles: &[(&str, impl AsRef<str>)]) -> Self {
        assert!(
            needles.iter().all(|(_, needle)| needle.as_ref().len() >= 12),
            "a short text is found anywhere"
        );
        let needles =
            needles.iter().map(|(name, needle)| ((*name).to_owned(), needle.as_ref().as_bytes().to_vec()));
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
        let overlap = self.needles.iter().map(|(_, needle)| needle.len()).max().unwrap_or(0);
        for line in maps.lines() {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let [mut at, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            if i64::try_from(at).is_err() {
                // [vsyscall] is the kernel's half of the address space.
                continue;
            }
            let mut piece = vec![0; PIECE];
            while at < end {
                let length = usize::try_from(end - at).unwrap().min(PIECE);
                match memory.read_at(&mut piece[..length], at) {
                    Ok(read) if read > 0 => {
                        self.memory += read;
                        self.look(&piece[..read], &format!("{dir}/mem {line}"));
                        let step =
                            if read < length || at + read as u64 >= end { read } else { read - overlap };
                        at += step as u64;
                    }
                    // Pages of the kernel's own, such as [vvar], hold nothing of the process.
                    Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => break,
                    Ok(_) => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => panic!("{line}: {error}"),
                }
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
