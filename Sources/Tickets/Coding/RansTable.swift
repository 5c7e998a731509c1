import Foundation

/// Frequencies of tokens, in parts of 4096, for ``RansCode``.
struct RansTable: Equatable {
  static let bits: UInt32 = 12
  static let total = 1 << 12

  /// A token's share; they add up to ``total``.
  let frequencies: [Int]

  /// The closest table to counts: every token that occurs gets at least one part, and parts left over go where they save most.
  ///
  /// - Precondition: something was counted.
  init(counts: [Int]) {
    let all = Double(counts.reduce(0, +))
    var parts = counts.map { $0 == 0 ? 0 : max(1, Int((Double($0) / all * Double(Self.total)).rounded())) }
    var excess = parts.reduce(0, +) - Self.total
    /// Bits lost by going from one number of parts to another.
    func cost(_ token: Int, to other: Int) -> Double {
      Double(counts[token]) * log2(Double(parts[token]) / Double(other))
    }
    while excess != 0 {
      let change = excess > 0 ? -1 : 1
      let candidates = parts.indices.filter { counts[$0] > 0 && parts[$0] + change > 0 }
      guard let best = candidates.min(by: { cost($0, to: parts[$0] + change) < cost($1, to: parts[$1] + change) })
      else { break }
      parts[best] += change
      excess += change
    }
    frequencies = parts
  }

  // MARK: - Bytes

  /// The last token that occurs; then for each token up to it its share: below 128 in one byte, else its low seven bits with
  /// the eighth set and its high bits in a second byte. A zero is followed by the number of further zeros.
  var encoded: [UInt8] {
    let last = frequencies.lastIndex { $0 > 0 } ?? 0
    var bytes = [UInt8(last)]
    var token = 0
    while token <= last {
      let share = frequencies[token]
      token += 1
      if share == 0 {
        var more = 0
        while frequencies[token] == 0, more < 255 { (token, more) = (token + 1, more + 1) }
        bytes += [0, UInt8(more)]
      } else if share < 128 {
        bytes.append(UInt8(share))
      } else {
        bytes += [UInt8(share & 127 | 128), UInt8(share >> 7)]
      }
    }
    return bytes
  }

  /// Reads a table and says how many bytes it took.
  static func decode(_ bytes: UnsafeRawBufferPointer) throws -> (table: RansTable, byteCount: Int) {
    var next = 0
    func byte() throws -> Int {
      guard next < bytes.count else { throw StreamProblem.tooShort }
      defer { next += 1 }
      return Int(bytes[next])
    }
    let last = try byte()
    var frequencies = [Int](repeating: 0, count: SymbolTokens.count)
    var token = 0
    var sum = 0
    while token <= last {
      let first = try byte()
      if first == 0 {
        token += 1 + (try byte())
        continue
      }
      let share = first < 128 ? first : first & 127 | (try byte()) << 7
      guard SymbolTokens.width(of: token) != nil else { throw StreamProblem.badTable }
      frequencies[token] = share
      sum += share
      token += 1
    }
    guard sum == total, frequencies[last] > 0 else { throw StreamProblem.badTable }
    return (RansTable(frequencies: frequencies), next)
  }

  private init(frequencies: [Int]) { self.frequencies = frequencies }

  // MARK: - For coders

  /// First slot of each token.
  var starts: [Int] {
    var next = 0
    return frequencies.map { share in
      defer { next += share }
      return next
    }
  }

  /// For each of the 4096 slots: token in bits 24 and up, share - 1 in bits 12 to 23, place in the token's slots below.
  var slots: [UInt32] {
    var slots: [UInt32] = []
    slots.reserveCapacity(Self.total)
    for (token, share) in frequencies.enumerated() {
      for place in 0..<share { slots.append(UInt32(token) << 24 | UInt32(share - 1) << 12 | UInt32(place)) }
    }
    return slots
  }
}
