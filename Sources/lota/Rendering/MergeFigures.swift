import Merging

/// What a merge did.
struct MergeFigures: Encodable {
  var model: Merge.Summary?
  /// At most, in bytes; and the process's largest resident size.
  var memoryBudget: Int?
  var peakMemory = 0
  /// Of a merged adapter, from the inputs' opening on.
  var adapterSeconds: Double?
  var trained: Int?
  var overlap: TicketOverlap?

  func text(out: String?, adapter: String?) -> String {
    var lines: [String] = []
    if let adapter, let trained, let adapterSeconds, let overlap {
      lines.append("\(adapter): \(trained) weights, \(Format.seconds(adapterSeconds))")
      lines.append("layer  changed     shared    in conflict")
      lines += overlap.layers.enumerated().map { Self.row("\($0)", $1) }
      if overlap.others.changed > 0 { lines.append(Self.row("other", overlap.others)) }
      lines.append(Self.row("all", overlap.total))
    }
    if let out, let model {
      lines.append(
        "\(out): \(model.weights) weights, \(Format.bytes(model.bytes)) in \(Format.seconds(model.seconds)), and "
          + "\(Format.seconds(model.flushSeconds)) until the disk had them; peak memory \(Format.bytes(peakMemory))")
    }
    return lines.joined(separator: "\n")
  }

  private static func row(_ name: String, _ counts: TicketOverlap.Counts) -> String {
    func padded(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    return padded(name, 5) + padded("\(counts.changed)", 9) + padded("\(counts.shared)", 11)
      + padded("\(counts.conflicts)", 15)
  }
}
