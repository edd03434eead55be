//! Encodings, digests, identifiers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use num_bigint::BigUint;
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha512};

use super::Takes::{Number as Num, String as Str};
use super::{Arguments, Fail, Function, fixed, variadic};
use crate::bake::value::Value;

/// Cost of a bcrypt hash when none is given, as in Go.
const BCRYPT_COST: i64 = 10;

/// Costs above this take minutes.
const MAX_BCRYPT_COST: i64 = 14;

pub(super) const TABLE: &[Function] = &[
    fixed("base64decode", &[("str", Str)], |a| {
        let text = a.text(0);
        let bytes = STANDARD.decode(text).map_err(|_| format!("failed to decode base64 data '{text}'"))?;
        let decoded = String::from_utf8(bytes)
            .map_err(|_| "the result of decoding the provided string is not valid UTF-8")?;
        Ok(Value::string(decoded))
    }),
    fixed("base64encode", &[("str", Str)], |a| Ok(Value::string(STANDARD.encode(a.text(0))))),
    fixed("urlencode", &[("str", Str)], |a| {
        let mut text = String::new();
        for byte in a.text(0).bytes() {
            match byte {
                b' ' => text.push('+'),
                b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => text.push(char::from(b)),
                b => text.push_str(&format!("%{b:02X}")),
            }
        }
        Ok(Value::string(text))
    }),
    variadic("bcrypt", &[("str", Str)], ("cost", Num), |a| {
        let cost = if a.values.len() > 1 { a.integer(1)? } else { BCRYPT_COST };
        if a.values.len() > 2 {
            return Err("bcrypt() takes no more than two arguments".into());
        }
        if !(4..=31).contains(&cost) {
            return Err(format!("error occured generating password crypto/bcrypt: cost {cost} is outside allowed inclusive range 4..31").into());
        }
        if cost > MAX_BCRYPT_COST {
            return Err(format!("a cost above {MAX_BCRYPT_COST} takes too long").into());
        }
        let cost = u32::try_from(cost).expect("checked");
        let hash = bcrypt::hash_with_result(a.text(0), cost).map_err(|e| e.to_string())?;
        Ok(Value::string(hash.format_for_version(bcrypt::Version::TwoA)))
    }),
    fixed("md5", &[("str", Str)], |a| Ok(hex(&Md5::digest(a.text(0))))),
    fixed("sha1", &[("str", Str)], |a| Ok(hex(&Sha1::digest(a.text(0))))),
    fixed("sha256", &[("str", Str)], |a| Ok(hex(&Sha256::digest(a.text(0))))),
    fixed("sha512", &[("str", Str)], |a| Ok(hex(&Sha512::digest(a.text(0))))),
    fixed("rsadecrypt", &[("ciphertext", Str), ("privatekey", Str)], rsa_decrypt),
    fixed("uuidv4", &[], |_| {
        let mut bytes = [0; 16];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| format!("no random bytes: {e}"))?;
        Ok(Value::string(uuid(bytes, 4)))
    }),
    fixed("uuidv5", &[("namespace", Str), ("name", Str)], |a| {
        let space = namespace(a.text(0))?;
        let digest = Sha1::digest([&space[..], a.text(1).as_bytes()].concat());
        Ok(Value::string(uuid(digest[..16].try_into().expect("twenty bytes"), 5)))
    }),
];

fn hex(bytes: &[u8]) -> Value {
    Value::string(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn uuid(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// The namespaces of RFC 4122 by name, or any by its UUID.
fn namespace(name: &str) -> Result<[u8; 16], Fail> {
    let last = match name {
        "dns" => 0x10,
        "url" => 0x11,
        "oid" => 0x12,
        "x500" => 0x14,
        other => {
            let bare: String = other.chars().filter(|c| *c != '-').collect();
            let parsed = (bare.len() == 32 && other.len() == 36)
                .then(|| u128::from_str_radix(&bare, 16).ok())
                .flatten();
            return parsed.map(u128::to_be_bytes).ok_or_else(|| {
                format!("uuidv5() doesn't support namespace {name} (invalid UUID length: {})", other.len())
                    .into()
            });
        }
    };
    Ok([0x6b, 0xa7, 0xb8, last, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8])
}

/// RSA with the padding of PKCS #1 version 1.5.
fn rsa_decrypt(a: &Arguments<'_>) -> Result<Value, Fail> {
    let sealed = STANDARD
        .decode(a.text(0))
        .map_err(|_| format!("failed to decode input {:?}: cipher text must be base64-encoded", a.text(0)))?;
    let (modulus, exponent) =
        private_key(a.text(1)).ok_or("failed to parse key: no RSA private key in PEM found")?;
    let size = usize::try_from(modulus.bits().div_ceil(8)).unwrap_or(0);
    if size > 1024 || modulus.bits() < 2 {
        return Err("failed to parse key: its size is out of range".into());
    }
    let open = BigUint::from_bytes_be(&sealed).modpow(&exponent, &modulus).to_bytes_be();
    // A leading zero byte is not in the number: 02, random bytes, 00, the text.
    let text = open.strip_prefix(&[2]).filter(|_| open.len() + 1 == size && sealed.len() == size);
    let text = text.and_then(|rest| rest.iter().position(|byte| *byte == 0).map(|at| &rest[at + 1..]));
    let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.map(Value::string).ok_or_else(|| "failed to decrypt: crypto/rsa: decryption error".into())
}

/// Modulus and private exponent of a key in PEM, in either of its two forms.
fn private_key(pem: &str) -> Option<(BigUint, BigUint)> {
    let body = pem.split("-----BEGIN ").nth(1)?.split_once("-----")?.1.split("-----END").next()?;
    let text: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let der = STANDARD.decode(text).ok()?;
    let key = if pem.contains("BEGIN RSA PRIVATE KEY") {
        der
    } else {
        // PKCS #8: version, algorithm, the key as an octet string.
        fields(&fields(&der)?.first()?.1)?.get(2)?.1.clone()
    };
    let numbers = fields(&fields(&key)?.first()?.1)?;
    Some((BigUint::from_bytes_be(&numbers.get(1)?.1), BigUint::from_bytes_be(&numbers.get(3)?.1)))
}

/// The tags and contents of DER that stand one after the other.
fn fields(mut der: &[u8]) -> Option<Vec<(u8, Vec<u8>)>> {
    let mut found = Vec::new();
    while let [tag, first, rest @ ..] = der {
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let count = usize::from(first & 0x7f);
            let digits = rest.get(..count).filter(|_| count <= 4)?;
            (digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit)), &rest[count..])
        };
        found.push((*tag, rest.get(..length)?.to_vec()));
        der = &rest[length..];
    }
    Some(found)
}
