//! What the child does: it confines itself, then loads scripts and asks them as its parent says, until its
//! parent closes the pipe.

use std::cell::RefCell;
use std::io::{Read as _, Result, StdinLock, StdoutLock, Write as _, stdin, stdout};
use std::net::IpAddr;
use std::rc::Rc;

use super::engine::{Engine, Names, learn_the_zone};
use super::fault::ScriptFault;
use super::limits;
use super::wire::{self, Order, Reply};

/// Serves the parent on standard input and output. Returns when that has gone, or with what went wrong.
pub fn serve() -> Result<()> {
    learn_the_zone().map_err(std::io::Error::other)?;
    limits::confine()?;
    let pipe = Rc::new(RefCell::new(Pipe { from: stdin().lock(), to: stdout().lock() }));
    let asked = Rc::clone(&pipe);
    // Without a parent there are no addresses; the reply will not be read either, and ends this.
    let names: Names = Rc::new(move |name| asked.borrow_mut().look_up(name).unwrap_or_default());
    let mut engine = Err(ScriptFault::NoFunction);
    loop {
        let order = pipe.borrow_mut().read()?;
        let reply = match order {
            None => return Ok(()),
            Some(Order::Load(script)) => {
                // Both at once would take twice the memory.
                engine = Err(ScriptFault::NoFunction);
                match Engine::load(&script, Rc::clone(&names)) {
                    Ok(loaded) => {
                        engine = Ok(loaded);
                        Reply::Loaded
                    }
                    Err(fault) => Reply::Fault(fault),
                }
            }
            Some(Order::Decide(question)) => {
                match engine.as_ref().map_err(Clone::clone).and_then(|e| e.decide(&question)) {
                    Ok(text) => Reply::Decided(text),
                    Err(fault) => Reply::Fault(fault),
                }
            }
            Some(Order::Addresses(_)) => return Err(wire::broken("nobody was asked for")),
        };
        pipe.borrow_mut().write(&reply)?;
    }
}

struct Pipe {
    from: StdinLock<'static>,
    to: StdoutLock<'static>,
}

impl Pipe {
    fn look_up(&mut self, name: &str) -> Result<Vec<IpAddr>> {
        self.write(&Reply::LookUp(name.to_owned()))?;
        match self.read()? {
            Some(Order::Addresses(addresses)) => Ok(addresses),
            _ => Err(wire::broken("no addresses")),
        }
    }

    fn write(&mut self, reply: &Reply) -> Result<()> {
        self.to.write_all(&wire::frame(reply, wire::UP)?)?;
        self.to.flush()
    }

    /// The next order; none at the end.
    fn read(&mut self) -> Result<Option<Order>> {
        let mut prefix = [0; 4];
        match self.from.read_exact(&mut prefix) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut body = vec![0; wire::length(prefix, wire::DOWN)?];
        self.from.read_exact(&mut body)?;
        wire::message(&body).map(Some)
    }
}
