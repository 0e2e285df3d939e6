//! One script in QuickJS, with limits on time, memory, stack and look-ups. Runs in the child only.
//!
//! The context is kept from one decision to the next, and with it what a script keeps in its globals, as in
//! browsers. It offers the language itself and the helper functions of the prelude; no modules, no timers,
//! and no promise is ever resumed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use rquickjs::context::EvalOptions;
use rquickjs::function::Func;
use rquickjs::{Coerced, Context, Ctx, Exception, FromJs, Function, Module, Runtime, Value};
use rustix::time::{ClockId, clock_gettime};

use super::fault::ScriptFault;
use super::{Question, answer, natives};

const PRELUDE: &str = include_str!("prelude.js");
/// What the engine calls a script in stack traces.
const NAME: &str = "eval_script";

const MEMORY: usize = 32 * 1024 * 1024;
const STACK: usize = 512 * 1024;
/// CPU time of a load or a decision: a look-up that is waited for takes none.
const TIME: Duration = Duration::from_millis(500);
/// Names looked up for one decision; the same name again is not another.
pub(super) const LOOKUPS: usize = 8;
const DETAIL: usize = 256;

/// Who looks up names.
pub(super) type Names = Rc<dyn Fn(&str) -> Vec<IpAddr>>;

/// A script that is loaded.
pub(super) struct Engine {
    context: Context,
    watch: Rc<Watch>,
}

/// What is counted while a script runs.
struct Watch {
    names: Names,
    until: Cell<Duration>,
    stopped: Cell<Option<Stop>>,
    known: RefCell<BTreeMap<String, Vec<IpAddr>>>,
    mine: RefCell<Vec<IpAddr>>,
}

#[derive(Clone, Copy)]
enum Stop {
    Time,
    Lookups,
}

/// A load and a question differ in what a syntax error means: `eval` may throw one as well.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Load,
    Decision,
}

impl Engine {
    /// Makes an engine of its own for this script, and runs what stands outside of functions.
    pub(super) fn load(script: &str, names: Names) -> Result<Self, ScriptFault> {
        let watch = Rc::new(Watch {
            names,
            until: Cell::new(Duration::ZERO),
            stopped: Cell::new(None),
            known: RefCell::default(),
            mine: RefCell::default(),
        });
        watch.begin();
        if let Some((before, _)) = script.split_once('\0') {
            return Err(nul(before));
        }
        // Nothing of a script has run yet: without memory there is no other way to fail.
        let context = context(&watch).map_err(no_memory)?;
        context.with(|ctx| {
            prepare(&ctx, &watch).map_err(|e| watch.fault(&ctx, Phase::Decision, &e))
        })?;
        context.with(|ctx| {
            let mut options = EvalOptions::default();
            options.strict = false;
            let run = ctx.eval_with_options::<Value<'_>, _>(script, options);
            run.map_err(|e| watch.fault(&ctx, Phase::Load, &e))?;
            function(&ctx, &watch).map(drop)
        })?;
        Ok(Self { context, watch })
    }

    /// Asks the script. A text longer than an answer may be is cut where it is too long already.
    pub(super) fn decide(&self, question: &Question) -> Result<String, ScriptFault> {
        self.watch.begin();
        self.watch.mine.replace(question.mine.clone());
        self.context.with(|ctx| {
            let function = function(&ctx, &self.watch)?;
            let called = function.call((question.url.as_str(), question.host.as_str()));
            let value: Value<'_> =
                called.map_err(|e| self.watch.fault(&ctx, Phase::Decision, &e))?;
            if let Some(stop) = self.watch.stopped.get() {
                return Err(stop.into());
            }
            let Some(text) = value.as_string() else {
                return Err(ScriptFault::NotAString { what: value.type_name().to_owned() });
            };
            // A half of a surrogate pair is not text.
            let Ok(text) = text.to_string() else {
                return Err(ScriptFault::NotAString { what: "broken text".to_owned() });
            };
            Ok(beginning(text))
        })
    }
}

impl Watch {
    fn begin(&self) {
        self.until.set(now().saturating_add(TIME));
        self.stopped.set(None);
        self.known.borrow_mut().clear();
    }

    /// Whether the script is to be ended; no `catch` of its own stops that.
    fn is_over(&self) -> bool {
        if self.stopped.get().is_none() && now() > self.until.get() {
            self.stopped.set(Some(Stop::Time));
        }
        self.stopped.get().is_some()
    }

    /// The addresses of a name; none where it has none, or cannot be a name.
    fn look_up(&self, ctx: &Ctx<'_>, name: &str) -> rquickjs::Result<Vec<IpAddr>> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        if !is_name(name) {
            return Ok(Vec::new());
        }
        let name = name.to_ascii_lowercase();
        let known = self.known.borrow().get(&name).cloned();
        let found = match known {
            Some(found) => found,
            None if self.known.borrow().len() >= LOOKUPS => {
                self.stopped.set(Some(Stop::Lookups));
                return Err(Exception::throw_message(ctx, "too many look-ups"));
            }
            None => {
                let found = (self.names)(&name);
                self.known.borrow_mut().insert(name, found.clone());
                found
            }
        };
        Ok(found)
    }

    /// `isInNet`, which scripts call more often than anything: without a detour for its look-up.
    fn is_in_net(
        &self,
        ctx: &Ctx<'_>,
        name: &str,
        (network, mask): (&str, &str),
    ) -> rquickjs::Result<bool> {
        let (Some(network), Some(mask)) = (natives::dotted(network), natives::dotted(mask)) else {
            return Ok(false);
        };
        let four = |address: &IpAddr| match address {
            IpAddr::V4(address) => Some(address.to_bits()),
            IpAddr::V6(_) => None,
        };
        let address = match natives::dotted(name) {
            Some(address) => Some(address),
            None => self.look_up(ctx, name)?.iter().find_map(four),
        };
        Ok(address.is_some_and(|address| address & mask == network & mask))
    }

    /// What was just thrown, in our words.
    fn fault(&self, ctx: &Ctx<'_>, phase: Phase, error: &rquickjs::Error) -> ScriptFault {
        let fault = thrown(ctx, phase, error);
        // Asked last: for what was thrown has code of its own, which may not end either.
        self.stopped.get().map_or(fault, ScriptFault::from)
    }
}

impl From<Stop> for ScriptFault {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Time => Self::TooLong,
            Stop::Lookups => Self::TooManyLookups,
        }
    }
}

/// Makes the C library read the time zone: later the child can open no file.
pub(super) fn learn_the_zone() -> rquickjs::Result<()> {
    let context = Context::full(&Runtime::new()?)?;
    context.with(|ctx| ctx.eval::<Value<'_>, _>("new Date(0).getTimezoneOffset()").map(drop))
}

fn context(watch: &Rc<Watch>) -> rquickjs::Result<Context> {
    let runtime = Runtime::new()?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(STACK);
    let watch = Rc::clone(watch);
    runtime.set_interrupt_handler(Some(Box::new(move || watch.is_over())));
    Context::full(&runtime)
}

/// Hands the natives to the prelude, which keeps them from the script.
fn prepare(ctx: &Ctx<'_>, watch: &Rc<Watch>) -> rquickjs::Result<()> {
    // A module has a name of its own in stack traces.
    let (module, _) = Module::declare(ctx.clone(), "prelude", PRELUDE)?.eval()?;
    let prelude: Function<'_> = module.get("default")?;
    let (looker, owner, nets) = (Rc::clone(watch), Rc::clone(watch), Rc::clone(watch));
    let look_up = move |ctx: Ctx<'_>, name: String| looker.look_up(&ctx, &name).map(|a| texts(&a));
    let in_net = move |ctx: Ctx<'_>, name: String, network: String, mask: String| {
        nets.is_in_net(&ctx, &name, (&network, &mask))
    };
    prelude.call::<_, ()>((
        Func::from(look_up),
        Func::from(move || texts(&owner.mine.borrow())),
        Func::from(|text: String, pattern: String| natives::glob(&text, &pattern)),
        Func::from(in_net),
        Func::from(|address: String, prefix: String| natives::in_prefix(&address, &prefix)),
        Func::from(|list: String| natives::sorted(&list)),
    ))
}

/// The script's function. As in Chromium it is a property of the global object, which `const` makes none of,
/// and `FindProxyForURLEx` is never called.
fn function<'js>(ctx: &Ctx<'js>, watch: &Watch) -> Result<Function<'js>, ScriptFault> {
    let found: rquickjs::Result<Value<'js>> = ctx.globals().get("FindProxyForURL");
    let value = found.map_err(|e| watch.fault(ctx, Phase::Decision, &e))?;
    value.into_function().ok_or(ScriptFault::NoFunction)
}

/// A name that can be asked for.
pub(super) fn is_name(name: &str) -> bool {
    (1..=253).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A script with NUL in it, which the engine cannot be handed.
fn nul(before: &str) -> ScriptFault {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.chars().rev().take_while(|c| *c != '\n').count().saturating_add(1);
    let detail = "a NUL character".to_owned();
    ScriptFault::Parse { line: count(line), column: count(column), detail }
}

fn no_memory(_: rquickjs::Error) -> ScriptFault {
    ScriptFault::TooMuchMemory
}

/// CPU time of this thread.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or(Duration::MAX)
}

fn texts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// What was just thrown.
fn thrown(ctx: &Ctx<'_>, phase: Phase, error: &rquickjs::Error) -> ScriptFault {
    let thrown = ctx.catch();
    if !error.is_exception() {
        return ScriptFault::Threw { line: None, detail: cut(&error.to_string()) };
    }
    // Where no memory is left for the error itself, the engine throws null (`JS_ThrowOutOfMemory`); no script
    // has a reason to.
    if thrown.is_null() {
        return ScriptFault::TooMuchMemory;
    }
    let exception = thrown.as_object().cloned().and_then(Exception::from_object);
    let Some(exception) = exception else {
        return ScriptFault::Threw { line: None, detail: detail(ctx, &thrown) };
    };
    // The engine has no other mark of it. A script that throws the same says what it wants to.
    if exception.message().as_deref() == Some("out of memory") {
        return ScriptFault::TooMuchMemory;
    }
    let place = exception.stack().and_then(|stack| place(&stack));
    let (line, column) = (place.map(|(line, _)| line), place.map(|(_, column)| column));
    let name: Option<Coerced<String>> = exception.as_object().get("name").ok();
    if phase == Phase::Load && name.is_some_and(|name| name.0 == "SyntaxError") {
        let detail = cut(&exception.message().unwrap_or_default());
        return ScriptFault::Parse { line: line.unwrap_or(1), column: column.unwrap_or(1), detail };
    }
    ScriptFault::Threw { line, detail: detail(ctx, &thrown) }
}

/// The first line and column of the script in a stack trace: `at f (eval_script:3:5)`.
fn place(stack: &str) -> Option<(u32, u32)> {
    let mut frames = stack.lines().filter_map(|frame| {
        let (before, after) = frame.rsplit_once(&format!("{NAME}:"))?;
        let mut numbers = after.trim_end_matches(')').split(':');
        let place = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        before.ends_with([' ', '(']).then_some(place)
    });
    frames.next()
}

/// What was thrown, as text.
fn detail<'js>(ctx: &Ctx<'js>, thrown: &Value<'js>) -> String {
    let text = Coerced::<String>::from_js(ctx, thrown.clone());
    match text {
        Ok(text) => cut(&text.0),
        Err(_) => {
            drop(ctx.catch());
            format!("{} without a text", thrown.type_name())
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(DETAIL).collect()
}

/// The text, or as much of it as shows that it is too long.
fn beginning(mut text: String) -> String {
    let longer = |(at, character): (usize, char)| at.saturating_add(character.len_utf8());
    let end = text.char_indices().map(longer).find(|end| *end > answer::BYTES);
    text.truncate(end.unwrap_or(text.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::{answer, beginning, place};

    #[test]
    fn a_place_is_the_scripts_own() {
        let rows = [
            ("    at eval_script:1:5\n", Some((1, 5))),
            (
                "    at dnsDomainIs (prelude:9:5)\n    at FindProxyForURL (eval_script:3:14)\n",
                Some((3, 14)),
            ),
            ("    at f (native)\n", None),
            ("    at eval_script:x:1\n", None),
            ("", None),
        ];
        for (stack, expected) in rows {
            assert_eq!(place(stack), expected, "{stack}");
        }
    }

    #[test]
    fn a_long_text_stays_too_long() {
        let cut = beginning(format!("x{}", "\u{20ac}".repeat(5000)));
        assert!(cut.len() > answer::BYTES && cut.len() < answer::BYTES + 4);
        assert_eq!(beginning("short".to_owned()), "short");
    }
}
