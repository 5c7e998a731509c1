import TestSupport
import Testing
import Torch

/// Products of a few rows against sums in double, and each row against the same row alone.
@Suite(.engine) struct RowProductTests {
  @Test(arguments: [(1, 3, 5), (2, 16, 4), (5, 33, 7), (6, 64, 130), (13, 577, 66), (40, 48, 9)])
  func sumsAndNeighbours(_ rows: Int, _ inputs: Int, _ outputs: Int) throws {
    var generator = SeededGenerator(seed: UInt64(rows))
    let x = generator.values(rows * inputs).map(Float.init)
    let w = generator.values(outputs * inputs).map(Float.init)
    let before = generator.values(rows * outputs).map(Float.init)
    let (xMI, wOI) = (try Tensor.from(x, shape: [rows, inputs]), try Tensor.from(w, shape: [outputs, inputs]))
    // Every second column of halves lies apart, as parts of a stacked weight do.
    let wide = try Tensor.empty([rows, outputs + 3], .float32)
    let apart = try wide.columns(2..<(outputs + 2))
    for accumulating in [false, true] {
      let expected = (0..<(rows * outputs)).map { entry in
        let (row, column) = entry.quotientAndRemainder(dividingBy: outputs)
        let sum = (0..<inputs).reduce(0) { $0 + Double(x[row * inputs + $1]) * Double(w[column * inputs + $1]) }
        return sum + (accumulating ? Double(before[entry]) : 0)
      }
      let out = try Tensor.from(before, shape: [rows, outputs])
      try apart.copy(from: out)
      try out.setRowProduct(xMI, wOI, accumulating: accumulating)
      try apart.setRowProduct(xMI, wOI, accumulating: accumulating)
      let found: [Float] = try out.values()
      expectClose(found.map(Double.init), expected, absolute: 1e-6 * Double(inputs).squareRoot() + 1e-6)
      #expect(try apart.values() == found)
      for row in 0..<rows {
        let alone = try Tensor.from(Array(before[(row * outputs)..<((row + 1) * outputs)]), shape: [1, outputs])
        try alone.setRowProduct(try xMI.rows(row..<(row + 1)), wOI, accumulating: accumulating)
        #expect(try alone.values() == Array(found[(row * outputs)..<((row + 1) * outputs)]), "row \(row)")
      }
    }
  }

  @Test func otherTypesAndUnfitShapes() throws {
    let x = try Tensor.from([1.0, 2, 3, 4], shape: [2, 2])
    let out = try Tensor.empty([2, 1], .float64)
    try out.setRowProduct(x, try Tensor.from([10.0, 1], shape: [1, 2]))
    #expect(try out.values() == [12.0, 34])
    #expect(throws: TorchError.self) { try out.setRowProduct(x, try Tensor.from([1.0], shape: [1, 1])) }
    #expect(throws: TorchError.self) { try x.setRowProduct(x, try Tensor.from([10.0, 1], shape: [1, 2])) }
  }
}
