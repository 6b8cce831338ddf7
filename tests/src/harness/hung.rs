//! A file system that does not answer, such as a network's when its server is gone.
//!
//! FUSE without anybody who serves it: <https://docs.kernel.org/filesystems/fuse.html>; the messages are
//! those of `include/uapi/linux/fuse.h`.

use std::{
    ffi::CString,
    fs,
    io::{Read as _, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// How long anybody may take to ask it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The kernel's least is 8 KiB.
const REQUEST_BYTES: usize = 64 * 1024;
/// `FUSE_INIT`, the one request that is answered.
const INIT: u32 = 26;
/// The version of the messages here.
const VERSION: (u32, u32) = (7, 23);

/// Whoever looks for a file in it waits, until it is dropped.
#[derive(Debug)]
pub struct Hung {
    dir: PathBuf,
    asked: Receiver<()>,
}

impl Hung {
    /// Mounts it on `dir`, which is made.
    ///
    /// # Errors
    /// Without root or FUSE.
    pub fn mount(dir: &Path) -> Result<Self> {
        fs::create_dir(dir)?;
        let device = fs::File::options().read(true).write(true).open("/dev/fuse");
        let mut device = device.context("/dev/fuse (root?)")?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("hung", dir, "fuse", flags, CString::new(options)?.as_c_str()).context("mounting FUSE")?;
        let (sender, asked) = mpsc::channel();
        let hung = Self { dir: dir.to_owned(), asked };
        begin(&mut device)?;
        std::thread::spawn(move || {
            // Requests are taken and never answered; this ends with the mount, or with whoever listened.
            let mut request = vec![0; REQUEST_BYTES];
            while device.read(&mut request).is_ok_and(|_| sender.send(()).is_ok()) {}
        });
        Ok(hung)
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits until somebody waits for it.
    ///
    /// # Errors
    /// When nobody does.
    pub fn asked(&self) -> Result<()> {
        self.asked.recv_timeout(PATIENCE).context("nobody looked for a file in it")
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        // By force: everybody who waits gets an error.
        if let Err(error) = unmount(&self.dir, UnmountFlags::FORCE | UnmountFlags::DETACH) {
            eprintln!("{} is left behind: {error}", self.dir.display());
        }
    }
}

/// The kernel's first request, and the answer without which it would not send another.
fn begin(device: &mut fs::File) -> Result<()> {
    let mut request = vec![0; REQUEST_BYTES];
    let length = device.read(&mut request)?;
    // `fuse_in_header`: len, opcode, unique.
    let (_, rest) =
        request.get(..length).and_then(|bytes| bytes.split_first_chunk::<4>()).context("short")?;
    let (opcode, rest) = rest.split_first_chunk::<4>().context("short")?;
    let (unique, _) = rest.split_first_chunk::<8>().context("short")?;
    ensure!(u32::from_ne_bytes(*opcode) == INIT, "the kernel's first request is another");
    // `fuse_out_header` (len, error, unique), then `fuse_init_out`: the version, and no wishes.
    let mut answer = Vec::with_capacity(80);
    answer.extend(80_u32.to_ne_bytes());
    answer.extend(0_u32.to_ne_bytes());
    answer.extend(unique);
    answer.extend(VERSION.0.to_ne_bytes());
    answer.extend(VERSION.1.to_ne_bytes());
    answer.resize(80, 0);
    device.write_all(&answer).context("the answer to FUSE_INIT")
}
