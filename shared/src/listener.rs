//! Opening a port, and telling supervisors which one it became.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::TcpListener;

/// Binds `address`. With `announce`, the bound address is written to that file, for
/// supervisors that let the system choose the port. `port` is what it is for, in messages.
///
/// # Errors
/// The address cannot be bound or the file cannot be written; the message names it.
pub async fn open(
    address: SocketAddr,
    announce: Option<&Path>,
    port: &str,
) -> io::Result<TcpListener> {
    let named =
        |error: io::Error, what: String| io::Error::new(error.kind(), format!("{what}: {error}"));
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| named(error, format!("binding the {port} {address}")))?;
    let bound = listener.local_addr()?;
    if let Some(file) = announce {
        write_whole(file, &format!("{bound}\n"))
            .map_err(|error| named(error, format!("writing {}", file.display())))?;
    }
    tracing::info!(%bound, "{port} is open");
    Ok(listener)
}

/// Writes a file so that a reader sees all of it or none.
fn write_whole(file: &Path, content: &str) -> io::Result<()> {
    let mut part = PathBuf::from(file).into_os_string();
    part.push(".part");
    std::fs::write(&part, content)?;
    std::fs::rename(&part, file)
}
