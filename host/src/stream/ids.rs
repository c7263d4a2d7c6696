//! Event ids: text that says a place in a stream, and proves that this gateway gave it out for this very session.
//!
//! An id is never looked up. The tenant and the session that it is checked against come from the request, so one of another session is no
//! id at all, and nothing is read for it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event_store::{Partition, Seq};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const VERSION: u8 = 1;
const MAC_BYTES: usize = 11;
/// Version, stream, seq, nonce, MAC: a multiple of three, so that base64 has one spelling for it.
const BYTES: usize = 1 + 8 + 8 + 2 + MAC_BYTES;
/// Characters of an id.
const CHARS: usize = BYTES / 3 * 4;

/// Makes ids, and reads those that come back.
pub struct EventIds {
    key: Hmac<Sha256>,
}

impl std::fmt::Debug for EventIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventIds(…)")
    }
}

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which stream.
    pub stream: u64,
    /// After this event.
    pub seq: Seq,
}

impl EventIds {
    /// With a key that survives a restart if the streams do.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { key: Hmac::new_from_slice(key).expect("HMAC takes a key of any length") }
    }

    /// The id of an event.
    pub fn of_event(&self, partition: &Partition, place: Place) -> String {
        self.write(partition, place, 0)
    }

    /// An id for a place between events: what a stream is primed with. `nonce` tells two of the same place apart, because ids are unique in
    /// a session; it must not be zero, which is the events'.
    pub fn of_place(&self, partition: &Partition, place: Place, nonce: u16) -> String {
        self.write(partition, place, nonce.max(1))
    }

    fn write(&self, partition: &Partition, place: Place, nonce: u16) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(VERSION);
        bytes.extend(place.stream.to_be_bytes());
        bytes.extend(place.seq.0.to_be_bytes());
        bytes.extend(nonce.to_be_bytes());
        let mac = self.mac(partition, &bytes).finalize().into_bytes();
        bytes.extend(mac.iter().take(MAC_BYTES));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that an id names, if it was given out for this partition. Takes the same time whichever part of it is wrong.
    pub fn read(&self, partition: &Partition, id: &[u8]) -> Option<Place> {
        if id.len() != CHARS {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
        let (said, mac) = bytes.split_at_checked(BYTES - MAC_BYTES)?;
        let (version, rest) = said.split_first()?;
        let (stream, rest) = rest.split_first_chunk()?;
        let (seq, _) = rest.split_first_chunk()?;
        let right = *version == VERSION && self.mac(partition, said).verify_truncated_left(mac).is_ok();
        right.then_some(Place { stream: u64::from_be_bytes(*stream), seq: Seq(u64::from_be_bytes(*seq)) })
    }

    fn mac(&self, partition: &Partition, said: &[u8]) -> Hmac<Sha256> {
        let tenant = partition.tenant.as_str().as_bytes();
        let mut mac = self.key.clone();
        // The length in front: no two pairs of tenant and session read alike.
        mac.update(&(tenant.len() as u64).to_be_bytes());
        mac.update(tenant);
        mac.update(&partition.id);
        mac.update(said);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_store::{Space, TenantKey};

    fn partition(tenant: &str, id: u8) -> Partition {
        Partition { tenant: TenantKey::new(tenant).expect("short"), space: Space::Session, id: [id; 16] }
    }

    #[test]
    fn an_id_is_of_one_session_and_cannot_be_changed() {
        let ids = EventIds::new(&[7; 32]);
        let (mine, place) = (partition("acme", 1), Place { stream: 1 << 40, seq: Seq(991) });
        let id = ids.of_event(&mine, place);
        assert_eq!(ids.read(&mine, id.as_bytes()), Some(place));
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        for other in [partition("acme", 2), partition("acm", 1), partition("acme2", 1)] {
            assert_eq!(ids.read(&other, id.as_bytes()), None);
        }
        assert_eq!(EventIds::new(&[8; 32]).read(&mine, id.as_bytes()), None);
        for at in 0..id.len() {
            for change in [b'A', b'z', b'0', b'-', b'+', b'=', b' ', 0, 0xff] {
                let mut changed = id.clone().into_bytes();
                if std::mem::replace(&mut changed[at], change) != change {
                    assert_eq!(ids.read(&mine, &changed), None, "{at}");
                }
            }
            assert_eq!(ids.read(&mine, &id.as_bytes()[..at]), None);
        }
        for bad in ["", "../../x", "%00", "-1", "18446744073709551616"] {
            assert_eq!(ids.read(&mine, bad.as_bytes()), None);
        }
    }

    #[test]
    fn two_ids_of_one_place_differ() {
        let ids = EventIds::new(&[7; 32]);
        let (mine, place) = (partition("acme", 1), Place { stream: 0, seq: Seq(3) });
        let all = [ids.of_event(&mine, place), ids.of_place(&mine, place, 1), ids.of_place(&mine, place, 2)];
        assert!(all.iter().all(|id| ids.read(&mine, id.as_bytes()) == Some(place)));
        assert!(all[0] != all[1] && all[1] != all[2]);
    }

    /// Nothing but an id of this session is read, and then as the place that it was given out for.
    #[test]
    fn what_was_not_given_out_is_not_read() {
        let ids = EventIds::new(&[7; 32]);
        let mine = partition("acme", 1);
        let place = |number: u64| Place { stream: number % 5, seq: Seq(number) };
        let given: Vec<String> = (0..50).map(|number| ids.of_event(&mine, place(number))).collect();
        let foreign: Vec<String> = (0..50).map(|number| ids.of_event(&partition("acme", 2), place(number))).collect();
        let corpus: Vec<&String> = given.iter().chain(&foreign).collect();
        let mutator = gatehouse_mutator::Mutator::new(&corpus, &["A", "_", "-", "=", "%00", "../"]);
        gatehouse_mutator::fuzz("event ids", mutator, 100_000, |input| match ids.read(&mine, input) {
            None => 0,
            Some(read) => {
                let own = given.iter().position(|id| id.as_bytes() == input).expect("it was given out");
                assert_eq!(read, place(own as u64));
                1 + own
            }
        });
    }
}
