//! `login [SERVER]`, `logout [SERVER]`

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use clap::Args;

use super::error::CliError;
use super::global::Global;
use super::{output, registries};
use crate::registry::auth::file::{HUB_KEY, Kept, key_of};
use crate::registry::auth::{CredentialError, CredentialSource as _};
use crate::registry::{Credential, RegistryError, Secret};

/// Authenticate to a registry. Defaults to Docker Hub if no server is specified
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Registry, e.g. localhost:5000
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
    /// Username
    #[arg(short, long, value_name = "STRING")]
    pub username: Option<String>,
    /// Password or Personal Access Token (PAT)
    #[arg(short, long, value_name = "STRING")]
    pub password: Option<String>,
    /// Take the Password or Personal Access Token (PAT) from stdin
    #[arg(long)]
    pub password_stdin: bool,
}

/// Log out from a registry. Defaults to Docker Hub if no server is specified
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// Registry, e.g. localhost:5000
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
}

/// Largest password that standard input may hold.
const MAX_PASSWORD: u64 = 1 << 20;

/// Returns the registry's domain of whatever people type: a host, a URL, nothing.
///
/// # Errors
/// It has a user or white space.
pub fn domain(server: Option<&str>) -> Result<String, CliError> {
    let text = server.unwrap_or_default();
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = bare.split('/').next().unwrap_or_default();
    if host.contains('@') || host.contains(char::is_whitespace) {
        return Err(CliError::new("the registry is given as host[:port], without a user"));
    }
    Ok(match host {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    })
}

/// Runs `login`.
pub fn login(args: &LoginArgs, global: &Global) -> Result<(), CliError> {
    let client = registries::client(global)?;
    let runtime = registries::runtime()?;
    login_with(args, global, &|domain, credential| {
        runtime.block_on(client.login(domain, credential)).map_err(explain)
    })
}

/// Asks a registry whether a credential is right; it may give a token to keep in its place.
type Prove<'a> = &'a dyn Fn(&str, &Credential) -> Result<Option<Secret>, CliError>;

/// Runs `login` with the registry asked by whatever asks it.
///
/// # Errors
/// There is no credential, it is wrong, or it can't be kept.
pub fn login_with(args: &LoginArgs, global: &Global, prove: Prove<'_>) -> Result<(), CliError> {
    let domain = domain(args.server.as_deref())?;
    let given = given_password(args)?;
    let files = registries::credentials(global);
    let prove = |credential: &Credential| prove(&domain, credential);
    if args.username.is_none()
        && given.is_none()
        && let Some(known) = files.get(&domain, None).map_err(credentials)?
    {
        let (Credential::Basic { username, .. } | Credential::Identity { username, .. }) = &known else {
            return Err(CliError::new("the stored credential is a registry token, which can't be proved"));
        };
        let shown = if username.is_empty() { String::new() } else { format!(" [Username: {username}]") };
        output::talk(&format!(
            "Authenticating with existing credentials...{shown}\n\n Info -> To login with a different account, \
             run '{0} logout' followed by '{0} login'\n\n",
            global.program
        ));
        match prove(&known) {
            Ok(_) => return output::line("Login Succeeded"),
            Err(error) => output::talk(&format!("Login did not succeed, error: {}", error.text)),
        }
    }
    let (username, password) = ask(args, given, &domain, files.username(&domain))?;
    let credential = Credential::Basic { username: username.clone(), password };
    let refresh = prove(&credential)?;
    let credential = match refresh {
        Some(token) => Credential::Identity { username, token },
        None => credential,
    };
    let before = files.get(&domain, None).ok().flatten();
    let kept = files.store(&domain, &credential).map_err(|error| {
        CliError::new(format!("error saving credentials: {}", crate::causes::chain(&error)))
    })?;
    if let (Kept::File(path), Credential::Basic { .. }) = (kept, &credential)
        && before.as_ref() != Some(&credential)
    {
        output::talk(&format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove \
             this warning. See\nhttps://docs.docker.com/go/credential-store/\n",
            path.display()
        ));
    }
    output::line("Login Succeeded")
}

/// Takes the password that the flags give.
fn given_password(args: &LoginArgs) -> Result<Option<Secret>, CliError> {
    match (&args.password, args.password_stdin) {
        (Some(_), true) => {
            Err(CliError::new("conflicting options: cannot specify both --password and --password-stdin"))
        }
        (Some(password), false) => {
            output::talk("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
            Ok(Some(Secret::new(password.clone())).filter(|password| !password.is_empty()))
        }
        (None, true) => {
            if args.username.as_deref().is_none_or(str::is_empty) {
                return Err(CliError::new("the --password-stdin option requires --username to be set"));
            }
            let mut text = String::new();
            std::io::stdin().take(MAX_PASSWORD).read_to_string(&mut text)?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            Ok(Some(Secret::new(text)).filter(|password| !password.is_empty()))
        }
        (None, false) => Ok(None),
    }
}

/// Asks on the terminal for what the flags do not say.
fn ask(
    args: &LoginArgs,
    password: Option<Secret>,
    domain: &str,
    known: Option<String>,
) -> Result<(String, Secret), CliError> {
    let given = args.username.as_deref().map(str::trim).filter(|name| !name.is_empty());
    if let (Some(username), Some(password)) = (given, &password) {
        return Ok((username.to_owned(), password.clone()));
    }
    if !std::io::stdin().is_terminal() {
        return Err(CliError::new("error: cannot perform an interactive login from a non-TTY device"));
    }
    if domain == "docker.io" {
        output::data(
            "Log in with your Docker ID or email address to push and pull images from Docker Hub. If you don't have \
             a Docker ID, head over to https://hub.docker.com/ to create one.\nYou can log in with your password or a \
             Personal Access Token (PAT). Using a limited-scope PAT grants better security and is required for \
             organizations using SSO. Learn more at https://docs.docker.com/go/access-tokens/\n\n",
        )?;
    }
    let username = match (given, known) {
        (Some(name), _) => name.to_owned(),
        (None, Some(known)) => {
            let typed = prompt(&format!("Username ({known}): "))?;
            if typed.is_empty() { known } else { typed }
        }
        (None, None) => prompt("Username: ")?,
    };
    if username.is_empty() {
        return Err(CliError::new("error: username is required"));
    }
    let password = match password {
        Some(password) => password,
        None => Secret::new(hidden("Password: ")?),
    };
    if password.is_empty() {
        return Err(CliError::new("error: password is required"));
    }
    Ok((username, password))
}

fn prompt(text: &str) -> Result<String, CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Shows what is typed again, whatever happens.
struct Echo(rustix::termios::Termios);

impl Drop for Echo {
    fn drop(&mut self) {
        let now = rustix::termios::OptionalActions::Now;
        let _ = rustix::termios::tcsetattr(std::io::stdin(), now, &self.0);
    }
}

fn hidden(text: &str) -> Result<String, CliError> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let before = tcgetattr(std::io::stdin()).map_err(std::io::Error::from)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    let echo = Echo(before);
    tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet).map_err(std::io::Error::from)?;
    let line = prompt(text);
    drop(echo);
    output::data("\n")?;
    line
}

/// Docker's words for a log-in that failed.
pub fn explain(error: RegistryError) -> CliError {
    let text = match &error {
        RegistryError::Response { url, status: 401, errors, .. }
            if errors.iter().all(|e| e.message.is_empty()) =>
        {
            format!("login attempt to {url} failed with status: 401 Unauthorized")
        }
        RegistryError::Response { method: "GET", url, status: 401, .. } => {
            format!("login attempt to {url} failed with status: 401 Unauthorized")
        }
        RegistryError::Token { host, source } => match source.as_ref() {
            RegistryError::Response { status: 401 | 403, errors, .. } => {
                let said = errors.first().map_or("incorrect username or password", |e| e.message.as_str());
                let host = if host == "docker.io" { "registry-1.docker.io" } else { host };
                format!("Get \"https://{host}/v2/\": unauthorized: {said}")
            }
            _ => crate::causes::chain(&error),
        },
        _ => crate::causes::chain(&error),
    };
    CliError::new(format!("Error response from daemon: {text}"))
}

fn credentials(error: CredentialError) -> CliError {
    CliError::new(format!("error getting credentials - err: {}", crate::causes::chain(&error)))
}

/// Runs `logout`.
pub fn logout(args: &LogoutArgs, global: &Global) -> Result<(), CliError> {
    let domain = domain(args.server.as_deref())?;
    let shown = if domain == "docker.io" { HUB_KEY } else { key_of(&domain) };
    output::line(&format!("Removing login credentials for {shown}"))?;
    match registries::credentials(global).erase(&domain) {
        Ok(_) => Ok(()),
        Err(error) => Err(CliError::new(format!(
            "WARNING: could not erase credentials: {}",
            crate::causes::chain(&error)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_as_people_type_them() {
        let table = [
            (None, "docker.io"),
            (Some("https://index.docker.io/v1/"), "docker.io"),
            (Some("docker.io"), "docker.io"),
            (Some("https://r.test:5000/v2/"), "r.test:5000"),
            (Some("r.test"), "r.test"),
        ];
        for (typed, expected) in table {
            assert_eq!(domain(typed).unwrap(), expected, "{typed:?}");
        }
        assert!(domain(Some("https://me:pw@r.test")).is_err());
    }
}
