//! Who may use the registry: users of an htpasswd file with bcrypt passwords, and nobody in particular.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header;
use sha2::{Digest as _, Sha256};

use super::answer::{Answered, Failure};
use super::error::ServerError;
use super::handle::Ask;
use super::token::{self, Lack, Signer};
use crate::fs::{FsError, Time, open_for_reading, stat_fd};

/// The users of a file; it is read again when it changes.
#[derive(Debug)]
pub struct Users {
    path: PathBuf,
    salt: [u8; 16],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    read_at: Option<(Time, u64)>,
    hashes: HashMap<String, String>,
    signer: Option<Signer>,
    /// Salted digests of what was found right: bcrypt is slow on purpose, and clients send their password each time.
    known: HashSet<[u8; 32]>,
}

impl Users {
    /// Reads an htpasswd file.
    ///
    /// # Errors
    /// It can't be read, has no user, or a line is no `user:$2y$...`.
    pub fn open(path: &Path) -> Result<Self, ServerError> {
        let mut salt = [0; 16];
        rustix::rand::getrandom(&mut salt, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| FsError::new("take random bytes for", path, e))?;
        let users = Self { path: path.to_owned(), salt, state: Mutex::default() };
        users.reload(&mut users.state.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(users)
    }

    fn reload(&self, state: &mut State) -> Result<(), ServerError> {
        use std::io::Read as _;
        let mut file = open_for_reading(&self.path)?;
        let stat = stat_fd(&file)?;
        let version = Some((stat.mtime, stat.ino));
        if state.read_at == version {
            return Ok(());
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|e| FsError::new("read", &self.path, e))?;
        let hashes = parse(&text).map_err(|line| ServerError::Htpasswd { path: self.path.clone(), line })?;
        let signer = Some(Signer::of(&text));
        *state = State { read_at: version, hashes, signer, known: HashSet::new() };
        Ok(())
    }

    /// Lets a request of a user through, and says to others how to become one.
    pub(super) async fn check(&self, ask: &Ask) -> Result<(), Failure> {
        match self.who(ask).await {
            Some(user) if !user.is_empty() => Ok(()),
            _ => Err(challenge()),
        }
    }

    /// Lets a request of a user through, and one of nobody that only reads; `tls` is how clients come.
    pub(super) async fn check_open(&self, ask: &Ask, need: &Need<'_>, tls: bool) -> Result<(), Failure> {
        let scope = need.scope();
        let refused = |lack| Err(token::challenge(ask, tls, scope.as_deref(), lack));
        if ask.header(header::AUTHORIZATION).is_none() {
            // What is asked first decides how clients log in.
            return if need.writes || need.base { refused(Lack::Token) } else { Ok(()) };
        }
        match self.who(ask).await {
            Some(user) if user.is_empty() && need.writes => refused(Lack::Right),
            Some(_) => Ok(()),
            None => refused(Lack::GoodToken),
        }
    }

    /// Answers a request for a token: nobody's without a password, a user's with the right one.
    pub(super) async fn token(&self, ask: &Ask) -> Answered {
        let user = match ask.header(header::AUTHORIZATION) {
            None => String::new(),
            Some(_) => self.who(ask).await.ok_or_else(challenge)?,
        };
        let token = self.signer().map(|signer| signer.issue(&user)).ok_or_else(challenge)?;
        token::answer(&token)
    }

    fn signer(&self) -> Option<Signer> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.reload(&mut state);
        state.signer.clone()
    }

    /// Returns who asks, the empty name for nobody; none for who claims to be someone and is not.
    async fn who(&self, ask: &Ask) -> Option<String> {
        let text = ask.header(header::AUTHORIZATION)?;
        if let Some((scheme, token)) = text.split_once(' ')
            && scheme.eq_ignore_ascii_case("bearer")
        {
            return self.signer()?.user(token.trim());
        }
        let (user, password) = basic(text)?;
        // Some clients write a name and a password also where they have none.
        if user.is_empty() && password.is_empty() {
            return Some(user);
        }
        self.is_user(user.clone(), password).await.then_some(user)
    }

    async fn is_user(&self, user: String, password: String) -> bool {
        let mut hasher = Sha256::new();
        hasher.update(self.salt);
        hasher.update((user.len() as u64).to_le_bytes());
        hasher.update(&user);
        hasher.update(&password);
        let key: [u8; 32] = hasher.finalize().into();
        let (hash, version) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            // A file that is being replaced or is wrong for a moment changes nothing.
            let _ = self.reload(&mut state);
            if state.known.contains(&key) {
                return true;
            }
            (state.hashes.get(&user).cloned(), state.read_at)
        };
        let Some(hash) = hash else { return false };
        let verified = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        if !verified.await.unwrap_or(false) {
            return false;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.read_at == version {
            state.known.insert(key);
        }
        true
    }
}

/// Reads the lines; the number of a wrong one is the error, 0 where there is none at all.
fn parse(text: &str) -> Result<HashMap<String, String>, usize> {
    let mut found = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, hash) = line.split_once(':').ok_or(number + 1)?;
        let bcrypt = ["$2y$", "$2a$", "$2b$"].iter().any(|start| hash.starts_with(start));
        if user.is_empty() || !bcrypt || hash.parse::<bcrypt::HashParts>().is_err() {
            return Err(number + 1);
        }
        found.insert(user.to_owned(), hash.to_owned());
    }
    if found.is_empty() { Err(0) } else { Ok(found) }
}

fn basic(text: &str) -> Option<(String, String)> {
    let (scheme, rest) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// What a request needs, for the scope of a challenge.
pub(super) struct Need<'a> {
    /// Whether it changes something.
    pub writes: bool,
    /// Whether it is the one by which clients look what is there.
    pub base: bool,
    /// The repository.
    pub name: Option<&'a str>,
}

impl Need<'_> {
    fn scope(&self) -> Option<String> {
        let actions = if self.writes { "pull,push" } else { "pull" };
        self.name.map(|name| format!("repository:{name}:{actions}"))
    }
}

fn challenge() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
        .header(header::WWW_AUTHENTICATE, "Basic realm=\"Skiff registry\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let hash = bcrypt::hash("secret", 4).unwrap();
        let users = parse(&format!("# people\n\nann:{hash}\n")).unwrap();
        assert!(bcrypt::verify("secret", &users["ann"]).unwrap());
        for (text, line) in
            [("", 0), ("ann", 1), ("\nann:plain", 2), ("ann:{SHA}x", 1), ("ann:$2y$05$short", 1)]
        {
            assert_eq!(parse(text), Err(line), "{text}");
        }
    }

    #[test]
    fn headers() {
        let text = format!("basic {}", STANDARD.encode("ann:a:b"));
        assert_eq!(basic(&text), Some(("ann".to_owned(), "a:b".to_owned())));
        assert_eq!(basic("Bearer abc"), None);
        assert_eq!(basic("Basic !"), None);
    }
}
