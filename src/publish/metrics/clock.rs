//! How far this host's clock is from those of the APIs: an answer with an origin's own mark was made there, and says
//! when (RFC 9110 6.6.1), in whole seconds. The median, since one API's clock can be wrong as well.

use super::page::Page;
use super::table;
use crate::diagnosis::Author;
use crate::observation::Trip;
use crate::store::{Check, Snapshot};

/// Adds it, where there is such an answer.
pub(super) fn put(page: &mut Page, snapshot: &Snapshot) {
    let mut offsets: Vec<f64> = snapshot.checks.values().filter_map(|check| of(check)).collect();
    offsets.sort_by(f64::total_cmp);
    let last = offsets.len().checked_sub(1);
    let at = |place: usize| offsets.get(place).copied();
    if let Some(last) = last
        && let Some((low, high)) = at(last / 2).zip(at(last.div_ceil(2)))
    {
        page.put(table::CLOCK_OFFSET, &[], f64::midpoint(low, high));
    }
}

fn of(check: &Check) -> Option<f64> {
    let (reading, author) = check.answer.as_ref()?;
    let trip = check.trip.as_ref()?;
    (reading.origin_mark && *author == Author::Origin).then(|| offset(trip)).flatten()
}

/// Their clock minus ours. The answer was made within the trip: a date inside of it says nothing, one outside says by
/// how much it is outside.
fn offset(trip: &Trip) -> Option<f64> {
    let response = trip.legs.iter().find_map(|leg| leg.response.as_ref())?;
    // A cache hands on the date of long ago (RFC 9111 5.1).
    let fresh = response.header("age").is_none();
    let theirs = response.date().filter(|_| fresh)?.as_duration().as_secs_f64();
    let begun = trip.started.as_duration().as_secs_f64();
    let ended = begun + trip.seconds;
    Some(if theirs > ended {
        theirs - ended
    } else if theirs + 1.0 < begun {
        theirs + 1.0 - begun
    } else {
        0.0
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::offset;
    use crate::observation::{Leg, Response, Trip};

    fn answered(headers: &[(&str, &str)]) -> Trip {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut leg = Leg::to(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 443));
        leg.response = Some(Response { headers, ..Response::default() });
        // 07:28:00.5 to 07:28:02.5
        let started = "2026-10-21T07:28:00.5Z".parse().unwrap();
        Trip { started, seconds: 2.0, legs: vec![leg], ..Trip::default() }
    }

    #[test]
    fn a_date_outside_of_the_trip_is_off_by_what_is_between() {
        let rows = [
            ("Wed, 21 Oct 2026 07:28:00 GMT", Some(0.0)),
            ("Wed, 21 Oct 2026 07:28:02 GMT", Some(0.0)),
            ("Wed, 21 Oct 2026 07:28:03 GMT", Some(0.5)),
            ("Wed, 21 Oct 2026 07:38:02 GMT", Some(599.5)),
            ("Wed, 21 Oct 2026 07:27:58 GMT", Some(-1.5)),
            ("Tue, 20 Oct 2026 07:28:00 GMT", Some(-86_399.5)),
            ("yesterday", None),
        ];
        for (date, expected) in rows {
            assert_eq!(offset(&answered(&[("date", date)])), expected, "{date}");
        }
        let cached = [("date", "Tue, 20 Oct 2026 07:28:00 GMT"), ("age", "86400")];
        assert_eq!(offset(&answered(&cached)), None);
        assert_eq!(offset(&answered(&[])), None);
    }
}
