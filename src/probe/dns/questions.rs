//! All single questions of a trip: one task each, which goes on listening until the trip is over, and
//! a board on which each writes what it has seen so far.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::exchange;
use super::system::System;
use crate::observation::{
    Answer, DnsFailure, DnsKind, Failure, Family, Flaw, Question, Reply, Role, Server, Transport,
};
use crate::plan::{Nameserver, Through};
use crate::probe::Network;

/// How long a server is listened to although the trip is over.
const HEARD_OUT: Duration = Duration::from_secs(1);

/// What is known so far, for those who wait for it.
#[derive(Default)]
pub(super) struct Board {
    questions: Mutex<Vec<Question>>,
    changed: Notify,
}

/// The questions that are under way; none is, once this is gone.
pub(in crate::probe) struct Questions {
    board: Arc<Board>,
    begun: Instant,
    _tasks: JoinSet<()>,
}

impl Questions {
    /// No question.
    pub(in crate::probe) fn none() -> Self {
        Self { board: Arc::default(), begun: Instant::now(), _tasks: JoinSet::new() }
    }

    /// Asks every server of the system for both families.
    pub(super) fn ask(
        network: &Arc<Network>,
        system: &System,
        name: &str,
        deadline: Instant,
    ) -> Self {
        let (board, mut tasks) = (Arc::<Board>::default(), JoinSet::new());
        let begun = Instant::now();
        let configured = system.servers.iter().map(|server| (server, system.role));
        let upstreams = system.upstreams.iter().map(|server| (server, Role::Upstream));
        for (server, role) in configured.chain(upstreams) {
            for family in [Family::A, Family::Aaaa] {
                let place = board.put(server, transport(&server.through), (role, family));
                let task = exchange::Task {
                    network: Arc::clone(network),
                    sheet: Sheet { board: Arc::clone(&board), place, begun },
                    server: server.clone(),
                    name: name.to_owned(),
                    family,
                    deadline,
                };
                tasks.spawn(task.run());
            }
        }
        Self { board, begun, _tasks: tasks }
    }

    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    /// Waits for the servers that have not answered yet: a dead one among several is no news to a resolver, which asks
    /// the next, and is to be told from one that was not waited for.
    pub(in crate::probe) async fn heard_out(&self, deadline: Instant) {
        let until = deadline.min(self.begun + HEARD_OUT);
        timeout_at(until, self.board.settled()).await.unwrap_or_default();
    }

    /// What was seen; nobody listens any more. Past the trip's deadline, silence is one.
    pub(in crate::probe) fn finish(self, deadline: Instant) -> Vec<Question> {
        let Self { board, begun, _tasks: tasks } = self;
        drop(tasks);
        let questions = board.questions.lock().map(|mut all| std::mem::take(&mut *all));
        let mut questions = questions.unwrap_or_default();
        let settled: Vec<bool> = questions.iter().map(|q| is_settled(&questions, q)).collect();
        let open = questions.iter_mut().zip(settled).filter(|(_, settled)| !settled);
        for (question, _) in open {
            question.seconds = begun.elapsed().as_secs_f64();
            if Instant::now() >= deadline {
                question.stop = Some(silence(question));
            }
        }
        questions
    }
}

fn transport(through: &Through) -> Transport {
    match through {
        Through::Udp => Transport::Udp,
        Through::Tcp => Transport::Tcp,
        Through::Tls(_) => Transport::Tls,
        Through::Https(..) => Transport::Https,
    }
}

impl Board {
    fn put(
        &self,
        server: &Nameserver,
        transport: Transport,
        (role, family): (Role, Family),
    ) -> usize {
        let Ok(mut questions) = self.questions.lock() else { return 0 };
        questions.push(Question {
            server: Server { address: server.address, transport, role },
            family,
            seconds: 0.0,
            sent: 0,
            reply: None,
            stop: None,
            icmp: None,
            strays: Vec::new(),
            late: Vec::new(),
        });
        questions.len() - 1
    }

    /// Waits until the questions say what is asked of them; the asker has a deadline.
    async fn until<T>(&self, say: impl Fn(&[Question]) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change falls between the two.
            changed.as_mut().enable();
            let said = self.questions.lock().ok().and_then(|questions| say(&questions));
            match said {
                Some(said) => return said,
                None => changed.await,
            }
        }
    }

    /// Waits until every question has an answer or a failure.
    pub(super) async fn settled(&self) {
        let all = |questions: &[Question]| questions.iter().all(|q| is_settled(questions, q));
        self.until(|questions| all(questions).then_some(())).await;
    }

    /// Whether the server, or somebody before it, said that nobody answers at its port.
    pub(super) async fn refusal(&self, server: &Nameserver, family: Family) -> DnsFailure {
        self.until(|questions| {
            let failure = of(questions, server, family).find_map(|question| question.stop.as_ref());
            let refused = |kind| matches!(kind, DnsKind::PortClosed | DnsKind::Icmp);
            failure.filter(|failure| refused(failure.kind)).cloned()
        })
        .await
    }

    /// The answer of a server that only this module asks.
    pub(super) async fn answer(
        &self,
        server: &Nameserver,
        family: Family,
    ) -> Result<Answer, DnsFailure> {
        self.until(|questions| {
            let question = of(questions, server, family).next()?;
            let question = over_tcp(questions, question).unwrap_or(question);
            match (&question.stop, &question.reply) {
                (Some(failure), _) => Some(Err(failure.clone())),
                (None, Some(reply)) if is_cut(question, reply) => None,
                (None, Some(reply)) => {
                    let addresses = reply.addresses.iter().map(|found| found.address);
                    Some(Ok(Answer::Addresses(addresses.collect())))
                }
                (None, None) => None,
            }
        })
        .await
    }

    /// Whether anybody answered anything.
    pub(super) fn has_reply(&self) -> bool {
        let questions = self.questions.lock();
        questions.is_ok_and(|questions| questions.iter().any(|question| question.reply.is_some()))
    }

    /// Why this host let no question out at all, if that is so.
    pub(super) fn refused_here(&self) -> Option<Failure> {
        let questions = self.questions.lock().ok()?;
        let here = |question: &Question| {
            let inner = question.stop.as_ref()?.inner.as_deref()?;
            matches!(inner, Failure::Local(_)).then(|| inner.clone())
        };
        let first = questions.first().and_then(here)?;
        questions.iter().all(|question| here(question).is_some()).then_some(first)
    }

    /// What the servers that the host asks were seen to do, where the resolver only shows that
    /// there was no answer.
    pub(super) fn sharper(&self, family: Family, vague: &DnsFailure) -> Option<DnsFailure> {
        let is_vague = match vague.kind {
            DnsKind::Timeout | DnsKind::Transport | DnsKind::Other => true,
            // It does not say what became of TCP.
            DnsKind::Truncated => vague.inner.is_none(),
            _ => false,
        };
        if !is_vague {
            return None;
        }
        let questions = self.questions.lock().ok()?;
        let asked =
            || questions.iter().filter(|q| q.family == family && q.server.role != Role::Upstream);
        let answered = |question: &Question| {
            let whole = question.reply.as_ref().filter(|reply| !is_cut(question, reply));
            whole.is_some() && question.stop.is_none()
        };
        // Who answers one of two questions does not refuse to answer.
        if asked().any(answered) {
            return None;
        }
        let exact = |question: &Question| {
            let stop = question.stop.clone().filter(|failure| failure.kind != DnsKind::Timeout);
            stop.or_else(|| Some(silence(question)).filter(|f| f.kind != DnsKind::Timeout))
        };
        asked().find_map(exact)
    }
}

/// Whether there is an answer, or a failure instead. One that was cut is none before its whole came or
/// did not.
fn is_settled(all: &[Question], question: &Question) -> bool {
    match (&question.stop, &question.reply) {
        (Some(_), _) => true,
        (None, Some(reply)) if is_cut(question, reply) => {
            over_tcp(all, question).is_some_and(|twin| twin.stop.is_some() || twin.reply.is_some())
        }
        (None, reply) => reply.is_some(),
    }
}

/// Whether the answer did not fit into its datagram.
fn is_cut(question: &Question, reply: &Reply) -> bool {
    question.server.transport == Transport::Udp && reply.flags.tc
}

/// The same question over TCP, where the answer was cut.
fn over_tcp<'a>(all: &'a [Question], question: &Question) -> Option<&'a Question> {
    question.reply.as_ref().filter(|reply| is_cut(question, reply))?;
    let over_tcp = Server { transport: Transport::Tcp, ..question.server.clone() };
    all.iter().find(|other| other.server == over_tcp && other.family == question.family)
}

fn of<'a>(
    questions: &'a [Question],
    server: &Nameserver,
    family: Family,
) -> impl Iterator<Item = &'a Question> {
    let address = server.address;
    let transport = transport(&server.through);
    questions.iter().filter(move |question| {
        question.family == family
            && question.server.address == address
            && question.server.transport == transport
    })
}

/// Why there is no answer in time: nothing came, or nothing that was one.
pub(super) fn silence(question: &Question) -> DnsFailure {
    let stray = question.strays.iter().find_map(|stray| of_flaw(stray.flaw));
    match &question.reply {
        Some(_) => DnsFailure::new(DnsKind::Truncated, "and over TCP: no answer"),
        None => stray.unwrap_or_else(|| DnsFailure::new(DnsKind::Timeout, "no answer")),
    }
}

/// What a question failed of, where nothing but this came.
pub(super) fn of_flaw(flaw: Flaw) -> Option<DnsFailure> {
    let (kind, detail) = match flaw {
        Flaw::Malformed => (DnsKind::Malformed, "what came is no DNS message"),
        Flaw::WrongId => (DnsKind::WrongId, "what came answers another query"),
        Flaw::WrongQuestion => (DnsKind::WrongQuestion, "what came answers another question"),
        Flaw::WrongSource => return None,
    };
    Some(DnsFailure::new(kind, detail))
}

/// One question's place on the board.
pub(super) struct Sheet {
    board: Arc<Board>,
    place: usize,
    begun: Instant,
}

impl Sheet {
    /// Writes something down, and tells those who wait.
    pub(super) fn note(&self, write: impl FnOnce(&mut Question)) {
        if let Ok(mut questions) = self.board.questions.lock()
            && let Some(question) = questions.get_mut(self.place)
        {
            let before = question.reply.is_some() || question.stop.is_some();
            write(question);
            if !before {
                question.seconds = self.begun.elapsed().as_secs_f64();
            }
        }
        self.board.changed.notify_waiters();
    }

    /// Whether there is an answer, or a failure instead.
    pub(super) fn is_settled(&self) -> bool {
        let questions = self.board.questions.lock();
        questions.is_ok_and(|questions| {
            questions.get(self.place).is_some_and(|question| is_settled(&questions, question))
        })
    }

    /// The same question put to the same server over TCP, as a question of its own.
    pub(super) fn over_tcp(&self, server: &Nameserver) -> Self {
        let (role, family) = match self.board.questions.lock() {
            Ok(questions) => questions
                .get(self.place)
                .map_or((Role::Configured, Family::A), |q| (q.server.role, q.family)),
            Err(_) => (Role::Configured, Family::A),
        };
        let place = self.board.put(server, Transport::Tcp, (role, family));
        Self { board: Arc::clone(&self.board), place, begun: Instant::now() }
    }
}
