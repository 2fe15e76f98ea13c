//! Long lists, a page at a time. A page's token is the last name of the page before.

use std::sync::Arc;

use crate::engine::SqsError;

/// Most names on a page.
const LARGEST: i32 = 1_000;

/// The names after `token`, and the next page's token if more follow.
pub(super) fn page(
    names: Vec<Arc<str>>,
    token: Option<&str>,
    most: Option<i32>,
) -> Result<(Vec<Arc<str>>, Option<String>), SqsError> {
    let size = most.unwrap_or(LARGEST);
    let size = usize::try_from(size).ok().filter(|_| (1..=LARGEST).contains(&size));
    let size = size.ok_or_else(|| {
        let why = "Must be between 1 and 1000, if provided.";
        SqsError::invalid("MaxResults", &most.unwrap_or_default().to_string(), why)
    })?;
    let first = token.map_or(0, |token| names.partition_point(|name| **name <= *token));
    let rest = &names[first..];
    let shown = rest[..size.min(rest.len())].to_vec();
    // Without MaxResults SQS gives no token.
    let next =
        (most.is_some() && rest.len() > size).then(|| shown.last().map(|name| name.to_string()));
    Ok((shown, next.flatten()))
}
