//! Failures of a command, and the exit code that tells a script about them.

use std::error::Error;

use shared::{config::ConfigError, queue::QueueError, store::StoreError};

type Cause = Box<dyn Error + Send + Sync>;

/// Every exit code of the program and what it means, for people. A second signal ends a process with 130.
pub const EXIT_CODES: [(u8, &str); 7] = [
    (0, "ok"),
    (1, "failed"),
    (2, "usage"),
    (3, "cannot reach a server"),
    (4, "not allowed"),
    (5, "partly done"),
    (78, "bad configuration"),
];

/// A failure with its exit code (see [`Failure::code`]). Clap itself answers wrong usage with 2.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 78
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// 78, for a fault that the loader cannot see.
    #[error("{0}")]
    Setting(String),
    /// 2, for a choice that the command line alone cannot judge.
    #[cfg(feature = "demo")]
    #[error("{0}")]
    Usage(String),
    /// 3
    #[error("could not reach {server}")]
    Unreachable {
        /// The server as a person calls it.
        server: &'static str,
        #[source]
        cause: Cause,
    },
    /// 4
    #[error("not allowed: {0}")]
    NotAllowed(String),
    /// 5
    #[error("only partly done: {0}")]
    Partly(String),
    /// The code of its cause. A part of the process ended before it should.
    #[error("{part} ended")]
    Ended {
        /// The part, such as `the worker`.
        part: &'static str,
        #[source]
        cause: Box<Failure>,
    },
    /// 1
    #[error("{what}")]
    Failed {
        what: String,
        #[source]
        cause: Option<Cause>,
    },
}

impl Failure {
    /// Exit code 1, with the error behind it.
    pub fn failed(what: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self::Failed {
            what: what.into(),
            cause: Some(cause.into()),
        }
    }

    /// Exit code 1, without another error behind it.
    pub fn because(what: impl Into<String>) -> Self {
        Self::Failed {
            what: what.into(),
            cause: None,
        }
    }

    /// The exit code of the process: 1 failed, 2 usage, 3 cannot reach a server, 4 not allowed, 5 partly done,
    /// 78 bad configuration.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Ended { cause, .. } => cause.code(),
            Self::Failed { .. } => 1,
            #[cfg(feature = "demo")]
            Self::Usage(_) => 2,
            Self::Unreachable { .. } => 3,
            Self::NotAllowed(_) => 4,
            Self::Partly(_) => 5,
            Self::Config(_) | Self::Setting(_) => 78,
        }
    }

    /// The failure and its causes, outermost first, in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors repeat their cause in their own text.
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        // The causes of a configuration are a list of lines, but a script reads one line.
        line.split('\n')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; ")
            .replace(":; ", ": ")
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            Self::Unreachable {
                server: "postgres",
                cause: error.into(),
            }
        } else {
            Self::failed("postgres refused", error)
        }
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        Self::Unreachable {
            server: "redis",
            cause: error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn every_failure_ends_with_a_listed_code() {
        let unreachable = Failure::Unreachable {
            server: "postgres",
            cause: "connection refused".into(),
        };
        let failures = [
            Failure::because("x"),
            unreachable,
            Failure::NotAllowed("x".to_owned()),
            Failure::Partly("x".to_owned()),
            Failure::Setting("x".to_owned()),
        ];
        let codes: Vec<u8> = failures.iter().map(Failure::code).collect();
        // 0 is no failure, and clap answers with 2.
        let listed: Vec<u8> = EXIT_CODES.map(|(code, _)| code).into_iter().collect();
        assert_eq!(
            [vec![0], codes[..1].to_vec(), vec![2], codes[1..].to_vec()].concat(),
            listed
        );
    }

    #[test]
    fn causes_follow_in_one_line_and_are_not_repeated() {
        let inner = io::Error::other("connection refused");
        assert_eq!(
            Failure::failed("could not listen", inner).line(),
            "could not listen: connection refused"
        );
        let inner = io::Error::other("taken");
        assert_eq!(
            Failure::failed("could not listen: taken", inner).line(),
            "could not listen: taken"
        );
    }

    #[test]
    fn a_part_that_ended_is_named_and_keeps_the_code_of_its_cause() {
        let cause = Failure::Unreachable {
            server: "postgres",
            cause: "connection refused".into(),
        };
        let failure = Failure::Ended {
            part: "the worker",
            cause: Box::new(cause),
        };
        assert_eq!(
            failure.line(),
            "the worker ended: could not reach postgres: connection refused"
        );
        assert_eq!(failure.code(), 3);
    }

    #[test]
    fn the_faults_of_a_configuration_are_one_line() {
        let faults = vec!["A is not set".to_owned(), "B is 7".to_owned()];
        let failure = Failure::from(ConfigError {
            faults,
            warnings: Vec::new(),
        });
        assert_eq!(
            failure.line(),
            "the configuration has 2 faults: A is not set; B is 7"
        );
        assert_eq!(failure.code(), 78);
    }

    #[test]
    fn every_failure_reads_well() {
        let cause = || io::Error::other("connection refused");
        let unreachable = |server| Failure::Unreachable {
            server,
            cause: cause().into(),
        };
        let fault = |faults: &[&str]| {
            Failure::from(ConfigError {
                faults: faults.iter().map(ToString::to_string).collect(),
                warnings: Vec::new(),
            })
        };
        let failures = [
            fault(&["PATHBOUND_DATABASE_URL is not set"]),
            fault(&[
                "PATHBOUND_DATABASE_URL is not set",
                "PATHBOUND_MAX_SHARE is 7",
            ]),
            Failure::Setting("the configuration has 1 fault".to_owned()),
            unreachable("postgres"),
            unreachable("the ops listener"),
            Failure::NotAllowed("The key is missing, unknown, revoked or expired".to_owned()),
            Failure::Partly("1 of 3 connections".to_owned()),
            Failure::Ended {
                part: "the worker",
                cause: Box::new(Failure::because("it stopped on its own, without an error")),
            },
            Failure::failed("could not listen on 127.0.0.1:8080", cause()),
        ];
        let lines = failures.map(|failure| format!("{} {}\n", failure.code(), failure.line()));
        insta::assert_snapshot!(lines.concat(), @r"
        78 the configuration has 1 fault: PATHBOUND_DATABASE_URL is not set
        78 the configuration has 2 faults: PATHBOUND_DATABASE_URL is not set; PATHBOUND_MAX_SHARE is 7
        78 the configuration has 1 fault
        3 could not reach postgres: connection refused
        3 could not reach the ops listener: connection refused
        4 not allowed: The key is missing, unknown, revoked or expired
        5 only partly done: 1 of 3 connections
        1 the worker ended: it stopped on its own, without an error
        1 could not listen on 127.0.0.1:8080: connection refused
        ");
    }
}
