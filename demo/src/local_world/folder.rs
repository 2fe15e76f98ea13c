//! The folders of a world: where there is room, and gone once nobody needs them.
//!
//! A temporary folder has a file `owner`, which its owner keeps locked. The system takes the lock
//! away with the process, however it ends, so a folder whose `owner` can be locked is left over:
//! the janitor removes it as soon as the services have ended too, and where the janitor was killed
//! as well, the next `dueflow demo` or `dueflow local` does. What is kept for people has no such
//! file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What all temporary folders are called.
const PREFIX: &str = "dueflow-";
/// The file that its owner keeps locked.
const OWNER: &str = "owner";
/// Bytes that must be free in shared memory for it to be used.
pub const ROOM: u64 = 512 << 20;
/// How long the janitor waits for the services to end: their drain deadline and more.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// A folder for databases: in shared memory where there is such a thing with room, because the
/// local database syncs often; else in the system's temporary folder (`TMPDIR`).
///
/// # Errors
/// No temporary folder can be made.
pub fn temporary_folder() -> io::Result<TempDir> {
    folder_with(ROOM)
}

fn folder_with(room: u64) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    match bases(room).first() {
        Some(memory) => builder.tempdir_in(memory).or_else(|_| builder.tempdir()),
        None => builder.tempdir(),
    }
}

/// Shared memory, if it has so many bytes free.
fn bases(room: u64) -> Vec<PathBuf> {
    let memory = PathBuf::from("/dev/shm");
    if free(&memory).is_some_and(|free| free >= room) { vec![memory] } else { Vec::new() }
}

/// Bytes that this process may still write there; `None` where there is no such place.
fn free(path: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(path).ok()?;
    system.f_bavail.checked_mul(system.f_frsize)
}

/// A temporary folder that goes with this process.
#[derive(Debug)]
pub(crate) struct OwnedFolder {
    folder: TempDir,
    /// Locked for as long as it is open.
    _owner: File,
    /// The janitor's standard input, which ends with this process.
    _lifeline: Option<std::process::ChildStdin>,
}

impl OwnedFolder {
    /// Removes what earlier processes left, and makes a folder with so many bytes of room. The
    /// janitor is started from `executable`, the `dueflow` command.
    ///
    /// # Errors
    /// No temporary folder can be made.
    pub(crate) fn make(executable: &Path, room: u64) -> io::Result<Self> {
        for base in [PathBuf::from("/dev/shm"), std::env::temp_dir()] {
            remove_left_over(&base);
        }
        let folder = folder_with(room)?;
        // Under another name until it is locked: nobody may take it for left over before.
        let unlocked = folder.path().join("owner.new");
        let owner = File::create_new(&unlocked)?;
        owner.lock()?;
        fs::rename(&unlocked, folder.path().join(OWNER))?;
        let lifeline = janitor_of(executable, folder.path())?;
        Ok(Self { folder, _owner: owner, _lifeline: lifeline })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves it to people; nobody removes it any more.
    pub(crate) fn keep(self) -> PathBuf {
        let _ = fs::remove_file(self.folder.path().join(OWNER));
        self.folder.keep()
    }
}

/// Starts the janitor, in a group of its own: what ends everything at a terminal must not end it
/// first.
fn janitor_of(executable: &Path, folder: &Path) -> io::Result<Option<std::process::ChildStdin>> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(executable);
    command.arg("janitor").arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    Ok(command.spawn()?.stdin)
}

/// `dueflow janitor DIR`: waits until the process that started it has ended, however it did, and
/// the services with it, and removes their folder.
#[expect(clippy::disallowed_methods, reason = "the janitor has no runtime whose worker it blocks")]
pub fn janitor(folder: &Path) -> ExitCode {
    wait_for_end(&mut io::stdin().lock());
    let ended_at = Instant::now();
    while ended_at.elapsed() < PATIENCE {
        match remove_if_left_over(folder) {
            LeftOver::Gone => return ExitCode::SUCCESS,
            LeftOver::InUse => std::thread::sleep(LOOK),
        }
    }
    ExitCode::FAILURE
}

/// Returns when the other end of a pipe is closed.
pub(crate) fn wait_for_end(pipe: &mut impl Read) {
    let mut buffer = [0; 64];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// What became of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeftOver {
    /// It is not there, or nobody's to remove.
    Gone,
    /// Its owner or a service lives.
    InUse,
}

/// Removes a folder whose owner and services have ended. A service holds the lock of its log.
fn remove_if_left_over(folder: &Path) -> LeftOver {
    let Ok(owner) = File::open(folder.join(OWNER)) else { return LeftOver::Gone };
    if owner.try_lock().is_err() || logs(folder).iter().any(|log| log.try_lock().is_err()) {
        return LeftOver::InUse;
    }
    match fs::remove_dir_all(folder) {
        Ok(()) => LeftOver::Gone,
        Err(_) => LeftOver::InUse,
    }
}

fn logs(folder: &Path) -> Vec<File> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let logs = paths.filter(|path| path.extension().is_some_and(|ending| ending == "log"));
    logs.filter_map(|path| File::open(path).ok()).collect()
}

/// Removes the folders in `base` that nobody needs any more.
fn remove_left_over(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        // A link may lead anywhere.
        let own = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if own && name.to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            let _ = remove_if_left_over(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_in(base: &Path, name: &str, owned: bool) -> PathBuf {
        let folder = base.join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("dispatcher.log"), "").unwrap();
        if owned {
            fs::write(folder.join(OWNER), "").unwrap();
        }
        folder
    }

    #[test]
    fn only_folders_whose_owner_and_services_have_ended_are_removed() {
        let base = tempfile::tempdir().unwrap();
        let left = folder_in(base.path(), "dueflow-left", true);
        let owned = folder_in(base.path(), "dueflow-owned", true);
        let served = folder_in(base.path(), "dueflow-served", true);
        let kept = folder_in(base.path(), "dueflow-kept", false);
        let other = folder_in(base.path(), "other", true);
        let owner = File::open(owned.join(OWNER)).unwrap();
        owner.lock().unwrap();
        let log = File::open(served.join("dispatcher.log")).unwrap();
        log.lock().unwrap();
        remove_left_over(base.path());
        assert!(!left.exists());
        for folder in [&owned, &served, &kept, &other] {
            assert!(folder.exists(), "{}", folder.display());
        }
        drop((owner, log));
        remove_left_over(base.path());
        assert!(!owned.exists() && !served.exists() && kept.exists() && other.exists());
    }

    #[test]
    fn shared_memory_without_room_is_not_used() {
        assert_eq!(bases(u64::MAX), Vec::<PathBuf>::new());
        let folder = folder_with(u64::MAX).unwrap();
        assert!(folder.path().starts_with(std::env::temp_dir()), "{}", folder.path().display());
        assert_eq!(free(Path::new("/no/such/place")), None);
        assert!(free(Path::new("/")).is_some());
    }
}
