//! Who asks: starts the child, hands it script and question, looks up what it wants to know, and replaces it
//! when it ran out of something, crashed, or said what it should not.

use std::io::{Error, ErrorKind};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::engine::{LOOKUPS, is_name};
use super::fault::{Failure, ScriptFault};
use super::wire::{self, Order, Reply};
use super::{Question, Script};

/// Time of the wall clock that the child has for a decision, look-ups apart. Its own limit is of CPU time and
/// shorter: this one is for what the engine does not interrupt, and for a host that is busy.
const PATIENCE: Duration = Duration::from_secs(4);
/// Time for a look-up; after it the name has no addresses.
pub(super) const LOOK_UP: Duration = Duration::from_secs(2);
/// Addresses of a name that a script is told.
const ADDRESSES: usize = 32;

/// The one child, started when it is first needed. Decisions are made one after the other.
///
/// The kernel ends the child with the thread that started it: keep to one runtime on one thread.
#[derive(Debug)]
pub struct Engine {
    program: PathBuf,
    child: Mutex<Option<Running>>,
}

/// What a script said.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What it returned, to be read by [`super::answer::parse`].
    pub text: String,
    /// The names that it looked up, in order.
    pub lookups: Vec<Asked>,
    /// Time from the question to the answer, look-ups and a new child included, waiting for a turn not.
    pub seconds: f64,
}

/// A name that a script looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The name.
    pub name: String,
    /// What the script was told.
    pub addresses: Vec<IpAddr>,
    /// How long it took.
    pub seconds: f64,
}

/// A child that runs; killed when this is dropped.
#[derive(Debug)]
struct Running {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    /// The script that it has loaded.
    loaded: Option<[u8; 32]>,
}

impl Engine {
    /// An engine whose child is this program, called with `pac-engine`.
    pub fn new(program: PathBuf) -> Self {
        Self { program, child: Mutex::new(None) }
    }

    /// Asks a script, looking names up with `look_up` as it wants them.
    ///
    /// Given up half-way, the child is ended: what it would say next is the answer to a question that nobody
    /// asks any more.
    pub async fn decide<F>(
        &self,
        script: &Script,
        question: &Question,
        look_up: impl Fn(String) -> F,
    ) -> Result<Decision, Failure>
    where
        F: Future<Output = Vec<IpAddr>>,
    {
        let mut place = self.child.lock().await;
        let begun = Instant::now();
        loop {
            let (mut running, is_new) = match place.take().and_then(Running::if_alive) {
                Some(running) => (running, false),
                None => (Running::start(&self.program)?, true),
            };
            let mut talk = Talk { running: &mut running, left: PATIENCE, lookups: Vec::new() };
            let outcome = talk.decide(script, question, &look_up).await;
            let lookups = talk.lookups;
            match outcome {
                Ok(text) => {
                    *place = Some(running);
                    return Ok(Decision { text, lookups, seconds: begun.elapsed().as_secs_f64() });
                }
                Err(Failure::Script(fault)) if fault.is_mild() => {
                    *place = Some(running);
                    return Err(fault.into());
                }
                // It was ended by somebody since the last question, which is not this question's fault.
                Err(Failure::Child(error)) if !is_new && lookups.is_empty() && is_gone(&error) => {
                    running.end().await;
                }
                Err(failure) => {
                    running.end().await;
                    return Err(failure);
                }
            }
        }
    }

    /// The process id of the child, where there is one and it is not at work.
    pub fn child_id(&self) -> Option<u32> {
        self.child.try_lock().ok()?.as_ref()?.child.id()
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe)
}

impl Running {
    fn start(program: &PathBuf) -> Result<Self, Error> {
        let mut child = Command::new(program)
            .arg("pac-engine")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (Some(to), Some(from)) = (to, from) else {
            return Err(wire::broken("a child without pipes"));
        };
        Ok(Self { child, to, from, loaded: None })
    }

    /// Itself, unless it has ended.
    fn if_alive(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// Ends it and waits until it is gone, so that there is never a second one beside it.
    async fn end(mut self) {
        // It may have ended by itself.
        let (Ok(()) | Err(_)) = self.child.kill().await;
    }

    async fn send(&mut self, order: &Order) -> Result<(), Error> {
        self.to.write_all(&wire::frame(order, wire::DOWN)?).await
    }

    async fn receive(&mut self) -> Result<Reply, Error> {
        let mut prefix = [0; 4];
        self.from.read_exact(&mut prefix).await?;
        let mut body = vec![0; wire::length(prefix, wire::UP)?];
        self.from.read_exact(&mut body).await?;
        wire::message(&body)
    }

    async fn ask(&mut self, order: &Order) -> Result<Reply, Error> {
        self.send(order).await?;
        self.receive().await
    }
}

/// One decision on its way.
struct Talk<'a> {
    running: &'a mut Running,
    left: Duration,
    lookups: Vec<Asked>,
}

impl Talk<'_> {
    async fn decide<F>(
        &mut self,
        script: &Script,
        question: &Question,
        look_up: &impl Fn(String) -> F,
    ) -> Result<String, Failure>
    where
        F: Future<Output = Vec<IpAddr>>,
    {
        if self.running.loaded != Some(script.id()) {
            self.running.loaded = None;
            match self.say(Order::Load(script.text().to_owned()), look_up).await? {
                Reply::Loaded => self.running.loaded = Some(script.id()),
                _ => return Err(wire::broken("an answer before a question").into()),
            }
        }
        match self.say(Order::Decide(question.clone()), look_up).await? {
            Reply::Decided(text) => Ok(text),
            _ => Err(wire::broken("no answer to a question").into()),
        }
    }

    /// Gives an order, and the look-ups that it leads to, until it is done.
    async fn say<F>(
        &mut self,
        mut order: Order,
        look_up: &impl Fn(String) -> F,
    ) -> Result<Reply, Failure>
    where
        F: Future<Output = Vec<IpAddr>>,
    {
        loop {
            let asked = Instant::now();
            let reply = timeout(self.left, self.running.ask(&order)).await;
            self.left = self.left.saturating_sub(asked.elapsed());
            let name = match reply {
                Err(_) => return Err(ScriptFault::TooLong.into()),
                Ok(Err(error)) => return Err(error.into()),
                Ok(Ok(Reply::LookUp(name))) => name,
                Ok(Ok(Reply::Fault(fault))) => return Err(fault.into()),
                Ok(Ok(reply)) => return Ok(reply),
            };
            // The script may look names up while it is loaded, and again when it is asked.
            if self.lookups.len() >= LOOKUPS.saturating_mul(2) || !is_name(&name) {
                return Err(wire::broken("a look-up that is not allowed").into());
            }
            let asked = Instant::now();
            let found = timeout(LOOK_UP, look_up(name.clone())).await;
            let mut addresses = found.unwrap_or_default();
            addresses.truncate(ADDRESSES);
            let seconds = asked.elapsed().as_secs_f64();
            order = Order::Addresses(addresses.clone());
            self.lookups.push(Asked { name, addresses, seconds });
        }
    }
}
