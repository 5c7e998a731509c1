/// What a row says, for comparing rows with one another.
struct RowText {
  let prompt: String
  let completion: String

  init(_ row: TrainingRow) {
    switch row {
    case .completion(let prompt, let completion):
      (self.prompt, self.completion) = (prompt, completion)
    case .text(let text):
      (prompt, completion) = ("", text)
    case .conversation(let messages):
      let learned = messages.lastIndex(where: \.isLearned) ?? messages.endIndex
      prompt = messages[..<learned].map { "\($0.role)\u{1}\($0.content)" }.joined(separator: "\u{2}")
      completion = messages[learned...].map { "\($0.role)\u{1}\($0.content)" }.joined(separator: "\u{2}")
    }
  }

  /// Equal for rows of the same bytes. The lengths keep two parts from being cut differently.
  var exact: RowKey { RowKey([prompt, completion]) }
  /// Equal for rows that differ in letter case, punctuation and white space alone.
  var normalized: RowKey { RowKey([Self.normalForm(prompt), Self.normalForm(completion)]) }
  /// nil without a prompt.
  var promptKey: RowKey? {
    let form = Self.normalForm(prompt)
    return form.isEmpty ? nil : RowKey([form])
  }

  /// Letters and digits in lower case, all else between them one space.
  static func normalForm(_ text: String) -> String {
    var form = ""
    var separated = false
    for scalar in text.lowercased().unicodeScalars {
      if scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
        if separated, !form.isEmpty { form.unicodeScalars.append(" ") }
        separated = false
        form.unicodeScalars.append(scalar)
      } else {
        separated = true
      }
    }
    return form
  }
}

/// 128 bits of a text's bytes, so that files of any length are compared in little memory: among a million rows two
/// different ones have the same key with a probability of about 1e-27.
struct RowKey: Hashable, Sendable {
  private var first: UInt64 = 0x9e37_79b9_7f4a_7c15
  private var second: UInt64 = 0xcbf2_9ce4_8422_2325

  init(_ parts: [String]) {
    for var part in parts {
      part.withUTF8 { bytes in
        add(UInt64(bytes.count))
        for byte in bytes { add(UInt64(byte)) }
      }
    }
    // Both halves see every byte; the last mixing spreads those of short texts.
    first = Self.mix(first)
    second = Self.mix(second ^ first)
  }

  private mutating func add(_ value: UInt64) {
    first = Self.mix(first ^ value) &+ 0x9e37_79b9_7f4a_7c15
    second = (second ^ value) &* 0x100_0000_01b3
    second ^= second >> 29
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
