//! A probe as a text for people, under the headings that blackbox_exporter's own has. What a peer said is printed in
//! ASCII, and no secret is.

use super::judge::Judged;
use super::{Module, Query};
use crate::diagnosis::RouteVerdict;
use crate::observation::{Leg, Trip};

/// What was done layer by layer, the verdict, the metrics and the module.
pub fn text(
    (module, query): (&Module, &Query),
    trip: &Trip,
    (judged, verdict): (&Judged, Option<&RouteVerdict>),
    metrics: &str,
) -> String {
    let mut out = String::from("Logs for the probe:\n");
    let mut line = |what: String| {
        out.push_str(&ascii(&what));
        out.push('\n');
    };
    line(format!("module {}, target {}", module.name, without_query(&query.target)));
    for differs in &module.differs {
        line(format!("not as blackbox_exporter does: {differs}"));
    }
    let addresses: Vec<String> = trip.lookup.addresses().iter().map(ToString::to_string).collect();
    line(format!(
        "resolve {} -> {} ({:.6} s)",
        trip.lookup.name,
        if addresses.is_empty() { "no address".to_owned() } else { addresses.join(", ") },
        trip.lookup.seconds
    ));
    for leg in &trip.legs {
        steps(leg).into_iter().for_each(&mut line);
    }
    if let Some(failure) = trip.failure() {
        line(format!("ended at {}: {}", failure.layer(), failure.kind()));
    }
    for unmet in &judged.unmet {
        line(format!("not met: {unmet}"));
    }
    for evidence in verdict.map(|verdict| verdict.evidence.as_slice()).unwrap_or_default() {
        let result = evidence.result.label();
        line(format!("control {}: {result}: {}", evidence.control.label(), evidence.detail));
    }
    if let Some(finding) = verdict.and_then(|verdict| verdict.finding.as_ref()) {
        line(format!(
            "verdict (not confirmed): {} at {}, {}, confidence {}: {}",
            finding.cause, finding.layer, finding.party, finding.confidence, finding.summary
        ));
        line(format!("do: {}", finding.advice));
    }
    line(format!("probe {}", if judged.success { "succeeded" } else { "failed" }));
    out.push_str("\n\n\nMetrics that would have been returned:\n");
    out.push_str(metrics);
    out.push_str("\n\n\nModule configuration:\n");
    out.push_str(&module.shown);
    out
}

fn steps(leg: &Leg) -> Vec<String> {
    let mut steps = Vec::new();
    if let Some(connected) = &leg.connected {
        steps.push(format!("connect {} ({:.6} s)", leg.address, connected.seconds));
    }
    if let Some(secured) = &leg.proxy_secured {
        steps.push(format!("proxy_tls TLS {} ({:.6} s)", secured.version, secured.seconds));
    }
    if let Some(tunnelled) = &leg.tunnelled {
        steps.push(format!("proxy_connect {} ({:.6} s)", tunnelled.status, tunnelled.seconds));
    }
    if let Some(chain) = &leg.chain {
        let issuer = chain.leaf().map(|leaf| leaf.issuer.as_str()).unwrap_or_default();
        steps.push(format!("certificate issued by {issuer}, trusted by {}", chain.trust().label()));
    }
    if let Some(secured) = &leg.secured {
        steps.push(format!(
            "tls TLS {} {} ({:.6} s)",
            secured.version, secured.cipher, secured.seconds
        ));
    }
    if let Some(response) = &leg.response {
        steps.push(format!(
            "http status {} HTTP/{} ({:.6} s to the first byte, {} bytes)",
            response.status, response.version, response.first_byte, response.length
        ));
    }
    steps
}

/// A query may hold a key.
fn without_query(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

fn ascii(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() {
                c.to_string()
            } else {
                c.escape_default().to_string()
            }
        })
        .collect()
}
