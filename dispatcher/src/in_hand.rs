//! Which payments are in hand: those that were delivered and have not ended here. A place that a
//! receive keeps free for what may come is none.

use tokio::sync::OwnedSemaphorePermit;

use crate::events;

/// The place of one payment among those in hand; dropping it, in a panic too, frees it.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// A payment was delivered into the place that `permit` stands for.
    pub(crate) fn taken(permit: OwnedSemaphorePermit) -> Self {
        events::taken_in_hand();
        Self { _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        events::out_of_hand();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn only_a_delivered_payment_is_in_hand_and_only_until_its_place_is_free() {
        let places = Arc::new(Semaphore::new(10));
        let mut kept_free = Arc::clone(&places).acquire_many_owned(10).await.unwrap();
        let taken: Vec<_> = (0..3).map(|_| Place::taken(kept_free.split(1).unwrap())).collect();
        drop(kept_free);
        assert_eq!(places.available_permits(), 7);
        drop(taken);
        assert_eq!(places.available_permits(), 10);
    }
}
