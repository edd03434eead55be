//! Questions and answers about names as bytes (RFC 1035).

use std::net::{IpAddr, Ipv6Addr};

/// Bytes of a message's head.
const HEAD: usize = 12;
/// Seconds for which an answer may be remembered: names move with their containers.
const SECONDS: u32 = 1;
/// Kinds of records.
const A: u16 = 1;
const PTR: u16 = 12;
const AAAA: u16 = 28;

/// A question, the only one of its message.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// The name in lower case, without a last dot.
    pub name: String,
    /// The kind of record.
    pub kind: u16,
    /// The address of a reverse look-up.
    pub reverse: Option<IpAddr>,
    /// Where it ends in the message.
    end: usize,
}

/// Something to answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(String),
}

impl Question {
    /// Reads a query of one question in the class of the internet.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        // An answer, or an operation other than asking.
        if word(2)? & 0xf800 != 0 || word(4)? != 1 {
            return None;
        }
        let (mut at, mut labels) = (HEAD, Vec::new());
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            // Pointers and odd kinds of labels have no place in a question.
            if length > 63 || labels.len() > 127 {
                return None;
            }
            labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).to_lowercase());
            at += length;
        }
        let (kind, class) = (word(at)?, word(at + 2)?);
        let reverse = match labels.as_slice() {
            [d, c, b, a, zone, arpa] if kind == PTR && zone == "in-addr" && arpa == "arpa" => {
                format!("{a}.{b}.{c}.{d}").parse().map(IpAddr::V4).ok()
            }
            [digits @ .., zone, arpa] if kind == PTR && zone == "ip6" && arpa == "arpa" => nibbles(digits),
            _ => None,
        };
        (class == 1).then(|| Self { name: labels.join("."), kind, reverse, end: at + 4 })
    }
}

/// Reads the 32 digits of an IPv6 address, the last one first (RFC 3596, 2.5).
fn nibbles(labels: &[String]) -> Option<IpAddr> {
    let digit = |label: &String| u128::from_str_radix(label, 16).ok().filter(|_| label.len() == 1);
    let value = labels.iter().rev().try_fold(0, |value, label| Some(value << 4 | digit(label)?))?;
    (labels.len() == 32).then(|| Ipv6Addr::from(value).into())
}

/// Returns the beginning of an answer: the query's head and question.
fn begin(query: &[u8], end: usize, code: u8, count: u16) -> Vec<u8> {
    let mut answer = query.get(..end).unwrap_or_default().to_vec();
    // An answer; recursion as it was desired, and available.
    answer[2] = 0x80 | (query[2] & 0x01);
    answer[3] = 0x80 | code;
    answer[6..8].copy_from_slice(&count.to_be_bytes());
    answer[8..HEAD].fill(0);
    answer
}

/// Answers a question with what is known; another kind of record of a known name is said not to be there.
pub fn answer(query: &[u8], question: &Question, known: &[Answer]) -> Vec<u8> {
    let mut records = Vec::new();
    for one in known {
        let (kind, data) = match one {
            Answer::Address(IpAddr::V4(address)) => (A, address.octets().to_vec()),
            Answer::Address(IpAddr::V6(address)) => (AAAA, address.octets().to_vec()),
            Answer::Name(name) => {
                let mut data = Vec::new();
                for label in name.split('.') {
                    let label = &label.as_bytes()[..label.len().min(63)];
                    data.push(label.len() as u8);
                    data.extend_from_slice(label);
                }
                data.push(0);
                (PTR, data)
            }
        };
        if kind == question.kind {
            records.push(data);
        }
    }
    let mut answer = begin(query, question.end, 0, records.len() as u16);
    for data in records {
        // The question's own name.
        answer.extend_from_slice(&[0xc0, HEAD as u8]);
        answer.extend_from_slice(&question.kind.to_be_bytes());
        answer.extend_from_slice(&[0, 1]);
        answer.extend_from_slice(&SECONDS.to_be_bytes());
        answer.extend_from_slice(&(data.len() as u16).to_be_bytes());
        answer.extend_from_slice(&data);
    }
    answer
}

/// Says that no server answered.
pub fn failure(query: &[u8]) -> Vec<u8> {
    let end = Question::read(query).map_or(HEAD, |question| question.end);
    begin(query, end.min(query.len()), 2, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        bytes
    }

    #[test]
    fn questions_are_read() {
        let bytes = query("Web.Net", A);
        let question = Question::read(&bytes).expect("a question");
        assert_eq!((question.name.as_str(), question.kind, question.reverse), ("web.net", A, None));
        let reverse = Question::read(&query("2.0.17.172.in-addr.arpa", PTR)).expect("a question");
        assert_eq!(reverse.reverse, Some(IpAddr::from([172, 17, 0, 2])));
        let digits = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        let reverse = Question::read(&query(digits, PTR)).expect("a question").reverse;
        assert_eq!(reverse, "fd00::2".parse().ok());
        for end in 0..bytes.len() {
            assert_eq!(Question::read(&bytes[..end]), None, "{end} bytes");
        }
        let mut loops = query("a", A);
        loops[12] = 0xc0;
        assert_eq!(Question::read(&loops), None, "a pointer");
        let mut answer = bytes;
        answer[2] |= 0x80;
        assert_eq!(Question::read(&answer), None, "an answer");
    }

    #[test]
    fn answers_name_all_addresses_and_no_other_kind() {
        let known = [2, 3].map(|last| Answer::Address(IpAddr::from([10, 0, 0, last])));
        let bytes = query("web", A);
        let found = answer(&bytes, &Question::read(&bytes).expect("a question"), &known);
        assert_eq!(&found[..2], &[0xab, 0xcd]);
        assert_eq!((&found[2..4], &found[6..8]), (&[0x81, 0x80][..], &[0, 2][..]));
        assert!(found.ends_with(&[0, 4, 10, 0, 0, 3]));
        let six: Ipv6Addr = "fd00::2".parse().expect("an address");
        let both = [known.as_slice(), &[Answer::Address(six.into())]].concat();
        let asked = query("web", AAAA);
        let found = answer(&asked, &Question::read(&asked).expect("a question"), &both);
        assert_eq!((found[7], &found[found.len() - 16..]), (1, &six.octets()[..]));
        let other = query("web", 28);
        let found = answer(&other, &Question::read(&other).expect("a question"), &known);
        assert_eq!((found[3] & 15, found.len()), (0, other.len()), "no error, no record");
        assert_eq!(failure(&bytes)[3] & 15, 2);
    }
}
