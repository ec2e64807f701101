//! Several things at once, a bounded number of them, in one task.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// Something that is under way.
pub(super) type Under<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Does all of it, `at_once` at a time; the answers are in the order of the
/// questions.
pub(super) async fn together<'a, T>(
    at_once: usize,
    all: impl IntoIterator<Item = Under<'a, T>>,
) -> Vec<T> {
    let mut waiting = all.into_iter();
    let mut under_way: Vec<(usize, Under<'a, T>)> = Vec::new();
    let mut done: Vec<Option<T>> = Vec::new();
    poll_fn(|context| {
        loop {
            while under_way.len() < at_once.max(1)
                && let Some(next) = waiting.next()
            {
                under_way.push((done.len(), next));
                done.push(None);
            }
            if under_way.is_empty() {
                return Poll::Ready(());
            }
            let before = under_way.len();
            under_way.retain_mut(|(place, future)| match future.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    done[*place] = Some(answer);
                    false
                }
                Poll::Pending => true,
            });
            // Whoever comes in place of one that is done has to be asked too.
            if under_way.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn wait<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    /// Ends when it was asked that often.
    async fn after(turns: usize, under_way: &Cell<(usize, usize)>) -> usize {
        let (now, most) = under_way.get();
        under_way.set((now + 1, most.max(now + 1)));
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        let (now, most) = under_way.get();
        under_way.set((now - 1, most));
        turns
    }

    #[test]
    fn the_answers_are_in_order_and_no_more_are_under_way_than_may_be() {
        for at_once in [0, 1, 3, 100] {
            let seen = Cell::new((0, 0));
            let turns = [5, 2, 3, 9, 1, 2, 4, 7];
            let all = turns.map(|turns| -> Under<'_, usize> { Box::pin(after(turns, &seen)) });
            assert_eq!(wait(together(at_once, all)), turns);
            assert_eq!(seen.get(), (0, at_once.clamp(1, turns.len())));
        }
        assert!(wait(together::<()>(4, Vec::new())).is_empty());
    }
}
