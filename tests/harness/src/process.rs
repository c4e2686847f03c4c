//! A child process that ends when we end, even when we are ended by SIGKILL. No other process is ever signalled.
//!
//! The child is the leader of its own process group, so that Ctrl-C in a terminal reaches us alone and we end things in
//! order. Inside the group a small shell waits on a pipe whose other end only we hold, the lifeline. When the lifeline
//! closes, for whatever reason, the shell kills its own group: it needs no process id that could meanwhile belong to
//! somebody else. The started binary replaces the outer shell, so id and exit status are its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{Look, until};
use crate::{Error, environment};

const LIFELINE: &str = r#"
exec 3<&0 </dev/null
( while read -r _ <&3; do :; done; kill -9 0 ) >/dev/null 2>&1 &
exec 3<&-
exec "$@"
"#;

/// How long a child may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A command whose process ends with us. Whoever spawns it must keep the [`Child`] with its stdin: that is the lifeline.
pub fn tethered(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", LIFELINE, "sh"])
        .arg(program)
        .stdin(Stdio::piped())
        .process_group(0);
    command
}

/// A long-running child with its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    status: Option<ExitStatus>,
    log: PathBuf,
}

impl Process {
    /// Starts a [`tethered`] command; both of its outputs go to `log`, which is emptied first.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self, Error> {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder)
                .map_err(Error::io(format!("create {}", folder.display())))?;
        }
        let output = File::create(log).map_err(Error::io(format!("create {}", log.display())))?;
        let errors = output
            .try_clone()
            .map_err(Error::io(format!("open {} twice", log.display())))?;
        let child = command
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(Error::io(format!("start {name}")))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            status: None,
            log: log.to_path_buf(),
        })
    }

    /// The id of the started binary itself.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        if self.status.is_none() {
            self.status = self
                .child
                .try_wait()
                .map_err(Error::io(format!("ask for the status of {}", self.name)))?;
        }
        Ok(self.status)
    }

    /// An error with the end of the log when it has ended.
    pub fn assert_running(&mut self) -> Result<(), Error> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => Err(Error::EndedEarly {
                name: self.name.clone(),
                status,
                log: self.log.clone(),
                tail: tail(&self.log(), 20),
            }),
        }
    }

    /// Sends SIGTERM. Does nothing when it has already ended.
    pub fn terminate(&mut self) -> Result<(), Error> {
        self.signal(Signal::TERM)
    }

    /// Sends SIGSTOP: it stands still as it is. Does nothing when it has already ended.
    pub fn suspend(&mut self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Sends SIGCONT: it goes on where it stood. Does nothing when it has already ended.
    pub fn resume(&mut self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        // Not reaped yet, so the id cannot belong to another process.
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal)
            .map_err(|errno| Error::io(format!("send {signal:?} to {}", self.name))(errno.into()))
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill_9(&mut self) -> Result<ExitStatus, Error> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        self.child
            .kill()
            .map_err(Error::io(format!("kill {}", self.name)))?;
        let status = self
            .child
            .wait()
            .map_err(Error::io(format!("wait for {}", self.name)))?;
        self.status = Some(status);
        Ok(status)
    }

    /// Waits for the end.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus, Error> {
        let what = format!("the end of {} (pid {})", self.name, self.pid());
        until(deadline, what, || match self.ended() {
            Ok(Some(status)) => Look::Ready(status),
            Ok(None) => Look::NotYet("still running".to_owned()),
            Err(error) => Look::Hopeless(error),
        })
    }

    /// SIGTERM, and SIGKILL if that is not enough.
    pub fn stop(&mut self) {
        let ended = self.terminate().and_then(|()| self.wait(GRACE));
        if ended.is_err() {
            // The lifeline closes on drop in any case, so a failure here leaves nothing behind.
            let _ = self.kill_9();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Closing the lifeline (a field of `child`) ends what else the group may hold.
        let _ = self.kill_9();
    }
}

/// Removes a folder when we are killed. An end in order needs it no more.
#[derive(Debug)]
pub struct Janitor {
    child: Child,
}

/// Waits for the lifeline's end, gives the other children a second to be killed, and removes the folder.
const JANITOR: &str = r#"while read -r _; do :; done; sleep 1; rm -rf -- "$1""#;

/// The same for cgroups, which can be removed only from below, once the last process is gone.
const JANITOR_OF_CGROUPS: &str = r#"while read -r _; do :; done
for _ in 1 2 3 4 5 6 7 8 9 10; do
    sleep 1
    find "$@" -depth -type d -exec rmdir {} +
done"#;

impl Janitor {
    pub fn of(folder: &Path) -> Result<Self, Error> {
        Self::start(JANITOR, &[folder.to_path_buf()])
    }

    pub(crate) fn of_cgroups(folders: &[PathBuf]) -> Result<Self, Error> {
        Self::start(JANITOR_OF_CGROUPS, folders)
    }

    fn start(script: &str, folders: &[PathBuf]) -> Result<Self, Error> {
        let child = Command::new("/bin/sh")
            .args(["-c", script, "sh"])
            .args(folders)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(Error::io("start the janitor"))?;
        Ok(Self { child })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        // Whoever drops it removes the folder itself, without waiting a second.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a text.
pub fn tail(text: &str, n_lines: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(n_lines)..].join("\n")
}

/// Runs a short command to its end and returns its standard output. The process ends with us.
pub fn output_of(command: &mut Command) -> Result<Vec<u8>, Error> {
    let shown = shown(command);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::io(format!("start `{shown}`")))?;
    let output = finish(child).map_err(Error::io(format!("wait for `{shown}`")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let output_text = String::from_utf8_lossy(&output.stderr)
        .trim_end()
        .to_owned();
    Err(Error::Command {
        command: shown,
        status: output.status,
        output: output_text,
    })
}

/// Runs a command whose messages go where ours go, and returns what it prints. The process ends with us.
pub fn printed_by(mut command: Command) -> Result<String, Error> {
    let shown = shown(&command);
    let child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::io(format!("start `{shown}`")))?;
    let output = finish(child).map_err(Error::io(format!("wait for `{shown}`")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Command {
        command: shown,
        status: output.status,
        output: "its own words stand above".to_owned(),
    })
}

/// As `Child::wait_with_output`, but the lifeline stays open until the end.
fn finish(mut child: Child) -> std::io::Result<std::process::Output> {
    let lifeline = child.stdin.take();
    let output = child.wait_with_output();
    drop(lifeline);
    output
}

/// The command as a person would type it, without the lifeline and the folder of the program.
pub fn shown(command: &Command) -> String {
    let words: Vec<&OsStr> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .collect();
    let typed = match &words[..] {
        [_, _, script, _, typed @ ..] if *script == LIFELINE => typed,
        all => all,
    };
    let program = typed.first().map(Path::new);
    let name = program.and_then(Path::file_name).unwrap_or_default();
    let typed: Vec<_> = std::iter::once(&name)
        .chain(typed.get(1..).unwrap_or_default())
        .map(|word| word.to_string_lossy())
        .collect();
    typed.join(" ")
}

/// Seconds with one digit, for people.
pub fn seconds_since(started: std::time::Instant) -> String {
    format!(
        "{:.1} s",
        environment::now().duration_since(started).as_secs_f32()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn sleeper(folder: &Path, script: &str) -> Process {
        let mut command = tethered("/bin/sh");
        command.args(["-c", script]);
        Process::spawn("sleeper", command, &folder.join("log")).expect("a shell starts")
    }

    fn is_running(pid: u32) -> bool {
        let id = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero");
        rustix::process::test_kill_process(id).is_ok()
    }

    #[test]
    fn the_pid_is_that_of_the_binary_and_the_status_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = sleeper(folder.path(), "echo $$; exit 7");
        assert_eq!(process.wait(DEADLINE).expect("it ends").code(), Some(7));
        assert_eq!(process.log().trim(), process.pid().to_string());
    }

    #[test]
    fn a_command_is_shown_as_a_person_would_type_it() {
        let mut command = tethered("/usr/bin/go");
        command.args(["build", "-v"]);
        assert_eq!(shown(&command), "go build -v");
        assert_eq!(shown(&Command::new("/bin/ls")), "ls");
    }

    #[test]
    fn signals_reach_the_binary() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = sleeper(folder.path(), "exec sleep 600");
        process.terminate().expect("SIGTERM");
        assert_eq!(process.wait(DEADLINE).expect("it ends").signal(), Some(15));
        let mut process = sleeper(folder.path(), "exec sleep 600");
        assert_eq!(process.kill_9().expect("SIGKILL").signal(), Some(9));
    }

    #[test]
    fn a_closed_lifeline_ends_the_child_and_its_children() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = sleeper(folder.path(), "sleep 600 & echo $!; wait");
        let grandchild: u32 = until(DEADLINE, "the grandchild's pid", || {
            process.log().trim().parse::<u32>()
        })
        .expect("the script prints it");
        // What the end of this process does to the pipe.
        drop(process.child.stdin.take());
        assert_eq!(process.wait(DEADLINE).expect("it ends").signal(), Some(9));
        until(DEADLINE, "the end of the grandchild", || {
            if is_running(grandchild) {
                Err("still running")
            } else {
                Ok(())
            }
        })
        .expect("it ends with its group");
    }
}
