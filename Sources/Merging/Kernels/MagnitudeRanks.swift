/// Finds the bit pattern of the k-th largest magnitude among many, in two rounds of counting: the upper 16 bits, then the 15 below.
struct MagnitudeRanks: Sendable {
  /// Of the first round; the second needs half.
  static let binCount = 1 << 16

  /// How many of the largest are looked for, at least one and fewer than all.
  let wanted: Int
  /// Upper bits of the pattern, once known.
  private(set) var upper: UInt32 = 0
  private(set) var pattern: UInt32 = 0
  /// Magnitudes above the pattern.
  private(set) var above = 0
  /// Magnitudes equal to the pattern.
  private(set) var equal = 0

  init(wanted: Int) { self.wanted = wanted }

  static func countUpper(_ values: UnsafePointer<Float>, count: Int, into bins: UnsafeMutablePointer<UInt32>) {
    for index in 0..<count {
      bins[Int((values[index].bitPattern & 0x7FFF_FFFF) >> 15)] &+= 1
    }
  }

  func countLower(_ values: UnsafePointer<Float>, count: Int, into bins: UnsafeMutablePointer<UInt32>) {
    for index in 0..<count {
      let magnitude = values[index].bitPattern & 0x7FFF_FFFF
      if magnitude >> 15 == upper { bins[Int(magnitude & 0x7FFF)] &+= 1 }
    }
  }

  mutating func takeUpper(_ bins: UnsafeBufferPointer<UInt32>) {
    upper = UInt32(descend(bins, from: Self.binCount - 1))
  }

  mutating func takeLower(_ bins: UnsafeBufferPointer<UInt32>) {
    let lower = descend(bins, from: 0x7FFF)
    pattern = upper << 15 | UInt32(lower)
    equal = Int(bins[lower])
  }

  /// The bin in which the wanted one lies; adds what is above it.
  private mutating func descend(_ bins: UnsafeBufferPointer<UInt32>, from last: Int) -> Int {
    var bin = last
    while bin > 0, above + Int(bins[bin]) < wanted {
      above += Int(bins[bin])
      bin -= 1
    }
    return bin
  }

  /// How many of the equal ones belong to the largest.
  var ties: Int { wanted - above }
  /// Whether it matters which of the equal ones are taken.
  var mustChoose: Bool { pattern != 0 && ties < equal }
}
