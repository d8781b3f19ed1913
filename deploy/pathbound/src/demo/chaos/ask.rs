//! The command's side: finds the demo, asks for a fault, and prints what happens.

use std::{fs, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::UnixStream,
};

use super::{
    door,
    report::{ChaosReport, Reply, Request},
};
use crate::{
    cli::{ChaosArgs, DemoChoice},
    failure::Failure,
    output::{self, Format},
};

/// A demo that is free answers at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Asks a demo that runs for a fault. What happens goes to stderr as it happens, and the result to stdout.
///
/// # Errors
/// If no demo runs, if several run and none is named, if the fault could not be played, or if the copy is not exact
/// afterwards.
pub async fn ask(format: Format, args: ChaosArgs) -> Result<(), Failure> {
    let mut demo = Demo::find(args.choice).await?;
    demo.send(Request::Play(args.fault)).await?;
    let report = demo.report().await?;
    match format {
        Format::Json => output::line(&report)?,
        Format::Table => output::text(&format!("{}\n", report.verdict()))?,
    }
    if report.exact {
        return Ok(());
    }
    for example in &report.examples {
        eprintln!("  {example}");
    }
    Err(Failure::because("the copy is not exact after the fault"))
}

/// Prints the settings of a demo that runs, as commands of a shell.
///
/// # Errors
/// If no demo runs, or if several run and none is named.
pub async fn print_settings(format: Format, choice: DemoChoice) -> Result<(), Failure> {
    let mut demo = Demo::find(choice).await?;
    demo.send(Request::Settings).await?;
    let Reply::Settings(settings) = demo.reply().await? else {
        return Err(Failure::because("the demo is of another version"));
    };
    if format == Format::Json {
        let settings: serde_json::Map<_, _> = settings
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        return output::line(&settings);
    }
    // No value has a quote: they are keys, addresses and numbers of the demo's own.
    let lines = settings
        .iter()
        .map(|(name, value)| format!("export {name}='{value}'\n"));
    output::text(&lines.collect::<String>())
}

/// A demo that listens: its process, and a connection to it.
type Running = (u32, UnixStream);

/// The demos of this user, by their process ids. Sockets that no process listens on are removed.
async fn running() -> Result<Vec<Running>, Failure> {
    let directory = door::directory()?;
    let failed = |error| Failure::failed("could not look for demos", error);
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let process = name
            .and_then(|name| name.strip_prefix("demo-")?.strip_suffix(".sock"))
            .and_then(|process| process.parse().ok());
        found.extend(process.map(|process| (process, path)));
    }
    found.sort();
    let mut running = Vec::new();
    for (process, path) in found {
        match UnixStream::connect(&path).await {
            Ok(stream) => running.push((process, stream)),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                let _ = fs::remove_file(&path);
            }
            Err(_) => {}
        }
    }
    Ok(running)
}

fn choose(mut running: Vec<Running>, named: Option<u32>) -> Result<UnixStream, Failure> {
    let none = |cause: String| Failure::Unreachable {
        server: "a demo",
        cause: cause.into(),
    };
    if running.is_empty() {
        let start =
            "none runs for this user, so start one with `pathbound demo` in another terminal";
        return Err(none(start.to_owned()));
    }
    let ids: Vec<String> = running.iter().map(|(id, _)| id.to_string()).collect();
    let ids = ids.join(", ");
    let place = match named {
        Some(named) => running.iter().position(|(id, _)| *id == named),
        None if running.len() == 1 => Some(0),
        None => {
            return Err(Failure::Usage(format!(
                "several demos run, so name one with --demo: {ids}"
            )));
        }
    };
    match place {
        Some(place) => Ok(running.swap_remove(place).1),
        None => Err(none(format!("no such demo runs, but these do: {ids}"))),
    }
}

/// The demo that was chosen.
#[derive(Debug)]
struct Demo {
    lines: Lines<BufReader<UnixStream>>,
}

impl Demo {
    async fn find(choice: DemoChoice) -> Result<Self, Failure> {
        let stream = choose(running().await?, choice.demo)?;
        Ok(Self {
            lines: BufReader::new(stream).lines(),
        })
    }

    async fn send(&mut self, request: Request) -> Result<(), Failure> {
        let mut line = serde_json::to_string(&request)
            .map_err(|error| Failure::failed("could not write JSON", error))?;
        line.push('\n');
        let stream = self.lines.get_mut().get_mut();
        stream.write_all(line.as_bytes()).await.map_err(ended)
    }

    async fn reply(&mut self) -> Result<Reply, Failure> {
        let line = self.lines.next_line().await.map_err(ended)?;
        let line = line.ok_or_else(|| Failure::because("the demo has ended"))?;
        serde_json::from_str(&line)
            .map_err(|error| Failure::failed("the demo is of another version", error))
    }

    /// Prints what happens until the comparison has ended.
    async fn report(&mut self) -> Result<ChaosReport, Failure> {
        let first = tokio::time::timeout(AT_ONCE, self.reply()).await;
        let mut first = first.ok();
        if first.is_none() {
            eprintln!(
                "the demo is busy with its first sync or another fault, so this waits for its end"
            );
        }
        loop {
            let reply = match first.take() {
                Some(reply) => reply?,
                None => self.reply().await?,
            };
            match reply {
                Reply::Said { seconds, text } => eprintln!("{seconds:5.1} s  {text}"),
                Reply::Ended(report) => return Ok(report),
                Reply::Failed(what) => return Err(Failure::because(what)),
                Reply::Settings(_) => {}
            }
        }
    }
}

fn ended(error: std::io::Error) -> Failure {
    Failure::failed("the demo has ended", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demos(ids: &[u32]) -> Vec<Running> {
        let pair = || UnixStream::pair().unwrap().0;
        ids.iter().map(|id| (*id, pair())).collect()
    }

    #[tokio::test]
    async fn the_only_demo_needs_no_name_and_one_of_several_does() {
        assert!(choose(demos(&[7]), None).is_ok());
        assert!(choose(demos(&[7, 8]), Some(8)).is_ok());
        let refused = |ids: &[u32], named| {
            let failure = choose(demos(ids), named).unwrap_err();
            format!("{} {}", failure.code(), failure.line())
        };
        insta::assert_snapshot!(
            [refused(&[], None), refused(&[7, 8], None), refused(&[7, 8], Some(9))].join("\n"),
            @r"
        3 could not reach a demo: none runs for this user, so start one with `pathbound demo` in another terminal
        2 several demos run, so name one with --demo: 7, 8
        3 could not reach a demo: no such demo runs, but these do: 7, 8
        "
        );
    }
}
