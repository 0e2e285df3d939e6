//! Who is called when a party has to act: its team, the name of its alert, how urgent it is, and how long it must have
//! lasted. The rules of Prometheus and what goes straight to Alertmanager say the same; a test compares them.

use std::time::Duration;

use crate::cause::Party;
use crate::store::Zone;

/// Whom an alert calls, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The label `team`.
    pub team: &'static str,
    /// The label `alertname` where the target is broken.
    pub alert: &'static str,
    /// How urgent it is.
    pub severity: Severity,
    /// How long it must have been broken.
    pub after: Duration,
}

/// How urgent an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// In working hours.
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    /// The label `severity`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// The team of egressd itself.
pub const EGRESSD: &str = "egressd";
/// The alert of a target that works with a fault; its team is that of the party.
pub const DEGRADED: &str = "EgressDegraded";
/// How long a target must have been degraded.
pub const DEGRADED_AFTER: Duration = Duration::from_secs(30 * 60);
/// The alert of a route that worked and stopped; its team is that of the party.
pub const ROUTE: &str = "EgressRouteBroken";
/// How long such a route must have been broken.
pub const ROUTE_AFTER: Duration = LATER;
/// How long a route that stopped is missed.
pub const ROUTE_MISSED: Duration = Duration::from_secs(7 * 24 * 3600);
/// What most alerts wait for: a restart, or a short repair. The others wait in proportion.
pub const USUAL: Duration = Duration::from_secs(3 * 60);

const LATER: Duration = Duration::from_secs(10 * 60);
const UNSURE: Duration = Duration::from_secs(5 * 60);

const fn critical(team: &'static str, alert: &'static str) -> Call {
    Call { team, alert, severity: Severity::Critical, after: USUAL }
}

const fn warning(team: &'static str, alert: &'static str, after: Duration) -> Call {
    Call { team, alert, severity: Severity::Warning, after }
}

/// Who is called; the zone decides where the authority of the target's own name has to act.
pub const fn of(party: Party, zone: Zone) -> Call {
    match (party, zone) {
        (Party::Firewall, _) => critical("firewall", "EgressFirewallBroken"),
        (Party::Proxy, _) => critical("proxy", "EgressProxyBroken"),
        (Party::Inspection, _) => critical("inspection", "EgressInspectionBroken"),
        (Party::Resolver, _) | (Party::DnsZone, Zone::Own) => critical("dns", "EgressDnsBroken"),
        (Party::Network, _) => critical("network", "EgressNetworkBroken"),
        (Party::Client | Party::Portal, _) => critical("host", "EgressHostBroken"),
        (Party::Account, _) => warning("account", "EgressAccountBroken", LATER),
        (Party::Credential, _) => critical("credential", "EgressCredentialBroken"),
        (Party::Request, _) => warning("request", "EgressRequestBroken", LATER),
        (Party::Gateway, _) => critical("gateway", "EgressGatewayBroken"),
        (Party::Edge | Party::Origin, _) | (Party::DnsZone, Zone::Provider) => {
            warning("provider", "EgressProviderBroken", USUAL)
        }
        // Somebody has to look, and the network's team can.
        (Party::Undetermined, _) => {
            Call { after: UNSURE, ..critical("network", "EgressUndeterminedBroken") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table: a row is a promise to those who route by it.
    #[test]
    fn each_party_has_exactly_one_team() {
        let mut rows = String::new();
        for party in Party::ALL {
            let zones = [Zone::Own, Zone::Provider].map(|zone| of(*party, zone));
            let differ = zones[0] != zones[1];
            for (zone, call) in ["own", "provider"].iter().zip(zones).take(1 + usize::from(differ))
            {
                let zone = if differ { format!(" ({zone})") } else { String::new() };
                rows.push_str(&format!(
                    "{party}{zone}: {} {} {} {}s\n",
                    call.team,
                    call.alert,
                    call.severity.label(),
                    call.after.as_secs()
                ));
            }
        }
        assert_eq!(
            rows,
            "client: host EgressHostBroken critical 180s\n\
             resolver: dns EgressDnsBroken critical 180s\n\
             dns_zone (own): dns EgressDnsBroken critical 180s\n\
             dns_zone (provider): provider EgressProviderBroken warning 180s\n\
             firewall: firewall EgressFirewallBroken critical 180s\n\
             network: network EgressNetworkBroken critical 180s\n\
             inspection: inspection EgressInspectionBroken critical 180s\n\
             portal: host EgressHostBroken critical 180s\n\
             proxy: proxy EgressProxyBroken critical 180s\n\
             edge: provider EgressProviderBroken warning 180s\n\
             origin: provider EgressProviderBroken warning 180s\n\
             account: account EgressAccountBroken warning 600s\n\
             gateway: gateway EgressGatewayBroken critical 180s\n\
             credential: credential EgressCredentialBroken critical 180s\n\
             request: request EgressRequestBroken warning 600s\n\
             undetermined: network EgressUndeterminedBroken critical 300s\n"
        );
    }

    /// Those whose alert accuses the network are none that an API's own answer can name.
    #[test]
    fn a_key_or_a_request_calls_nobody_of_the_network() {
        for party in [Party::Account, Party::Request] {
            let call = of(party, Zone::Own);
            assert_eq!((call.team, call.severity), (party.label(), Severity::Warning));
        }
    }
}
