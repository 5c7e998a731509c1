package import Testing

/// Records an issue unless every element of `actual` lies within `absolute + relative * |expected|` of `expected`.
///
/// Reports the worst index with both values. Refuses different lengths, negative tolerances and NaN.
package func expectClose<Value: BinaryFloatingPoint>(
  _ actual: [Value], _ expected: [Value], absolute: Double = 0, relative: Double = 0,
  _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
  guard absolute >= 0, relative >= 0, absolute + relative > 0 else {
    Issue.record("tolerances must be positive: \(absolute) and \(relative)", sourceLocation: sourceLocation)
    return
  }
  guard actual.count == expected.count else {
    Issue.record("\(what) has \(actual.count) elements, expected \(expected.count)", sourceLocation: sourceLocation)
    return
  }
  var worst: (index: Int, excess: Double)?
  for index in actual.indices {
    let difference = abs(Double(actual[index]) - Double(expected[index]))
    let allowed = absolute + relative * abs(Double(expected[index]))
    let excess = difference.isFinite ? difference - allowed : .infinity
    if excess > (worst?.excess ?? 0) { worst = (index, excess) }
  }
  guard let worst else { return }
  Issue.record(
    """
    \(what) differs most at \(worst.index): \(actual[worst.index]) is not \(expected[worst.index]) \
    (absolute \(absolute), relative \(relative))
    """, sourceLocation: sourceLocation)
}

/// Scalar form of ``expectClose(_:_:absolute:relative:_:sourceLocation:)``.
package func expectClose<Value: BinaryFloatingPoint>(
  _ actual: Value, _ expected: Value, absolute: Double = 0, relative: Double = 0,
  _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
  expectClose([actual], [expected], absolute: absolute, relative: relative, what, sourceLocation: sourceLocation)
}
