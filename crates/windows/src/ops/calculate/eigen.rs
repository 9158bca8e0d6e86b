//! Eigenvalues of symmetric matrices.

/// Sweeps after which no rotation is worth the trouble; matrices of the engine's size need fewer than ten.
const SWEEPS: usize = 60;

/// The eigenvalues of a symmetric matrix (row by row), the largest first, and their directions, by Jacobi's rotations.
pub(crate) fn symmetric_eigen(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut a = matrix.to_vec();
    let mut v: Vec<f64> = (0..n * n).map(|at| if at / n == at % n { 1.0 } else { 0.0 }).collect();
    for _ in 0..SWEEPS {
        let (mut off, mut all) = (0.0, 0.0);
        for (at, value) in a.iter().enumerate() {
            all += value * value;
            off += if at / n == at % n { 0.0 } else { value * value };
        }
        // A matrix with what is no number has nothing to turn.
        if off <= all * 1e-32 || off.is_nan() {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    // Stable: of equal ones the first stays first.
    order.sort_by(|&p, &q| a[q * n + q].total_cmp(&a[p * n + p]));
    let values = order.iter().map(|&at| a[at * n + at]).collect();
    let vectors = order.iter().map(|&at| (0..n).map(|row| v[row * n + at]).collect()).collect();
    (values, vectors)
}

/// Turns the plane of two axes so that their element becomes 0.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let element = a[p * n + q];
    if element == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * element);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
        let (x, y) = (v[k * n + p], v[k * n + q]);
        v[k * n + p] = c * x - s * y;
        v[k * n + q] = s * x + c * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_its_directions_times_its_values() {
        let matrix = [4.0, 1.0, -2.0, 1.0, 3.0, 0.5, -2.0, 0.5, 5.0];
        let (values, vectors) = symmetric_eigen(&matrix, 3);
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
        for row in 0..3 {
            for column in 0..3 {
                let sum: f64 = (0..3).map(|at| values[at] * vectors[at][row] * vectors[at][column]).sum();
                assert!((sum - matrix[row * 3 + column]).abs() < 1e-12);
            }
        }
    }
}
