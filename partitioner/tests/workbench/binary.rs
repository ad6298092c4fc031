//! Runs the partitioner and says what it did.

use std::process::Command;

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn partitioner(args: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_partitioner")).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run {
        // None: killed by a signal, which no input may do.
        status: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

impl Run {
    /// Standard output of a run that must succeed.
    pub(crate) fn succeeds(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.stdout
    }

    /// Bad input or usage: status 2, and the message on standard error, without a backtrace.
    pub(crate) fn refuses(self, message: &str) {
        assert_eq!(self.status, 2, "{self:?}");
        assert!(self.stderr.contains(message), "expected {message:?} in {self:?}");
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("stack backtrace"), "{self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
    }
}
