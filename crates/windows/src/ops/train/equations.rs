//! Systems of linear equations.

/// Pivots that are so small beside the largest are directions without information.
const SMALLEST_PIVOT: f64 = 1e-12;

/// The solution of a symmetric positive semidefinite system (row by row), by Cholesky; an unknown without information of
/// its own is 0.
pub(crate) fn solve(matrix: &[f64], right: &[f64]) -> Vec<f64> {
    let n = right.len();
    let mut lower = vec![0.0; n * n];
    let mut free = vec![false; n];
    for i in 0..n {
        for j in 0..=i {
            if free[j] {
                continue;
            }
            let sum = (0..j).fold(matrix[i * n + j], |sum, k| sum - lower[i * n + k] * lower[j * n + k]);
            if i != j {
                lower[i * n + j] = sum / lower[j * n + j];
            } else if sum > SMALLEST_PIVOT * matrix[i * n + i].abs() && sum > 0.0 {
                lower[i * n + i] = sum.sqrt();
            } else {
                free[i] = true;
            }
        }
    }
    let mut x = vec![0.0; n];
    for i in (0..n).filter(|i| !free[*i]) {
        let sum = (0..i).fold(right[i], |sum, k| sum - lower[i * n + k] * x[k]);
        x[i] = sum / lower[i * n + i];
    }
    for i in (0..n).rev().filter(|i| !free[*i]) {
        let sum = (i + 1..n).filter(|k| !free[*k]).fold(x[i], |sum, k| sum - lower[k * n + i] * x[k]);
        x[i] = sum / lower[i * n + i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solutions_and_unknowns_without_information() {
        let x = solve(&[4.0, 2.0, 0.0, 2.0, 5.0, 1.0, 0.0, 1.0, 3.0], &[8.0, 15.0, 11.0]);
        let want = [1.0, 2.0, 3.0];
        assert!(x.iter().zip(want).all(|(x, want)| (x - want).abs() < 1e-12), "{x:?}");
        // The second unknown is the first one again.
        assert_eq!(solve(&[1.0, 1.0, 1.0, 1.0], &[2.0, 2.0]), [2.0, 0.0]);
    }
}
