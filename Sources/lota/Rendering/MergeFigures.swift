import Merging
import Reports

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
      lines.append("\(adapter): \(trained) weights, \(NumberText.duration(adapterSeconds))")
      lines.append("layer  changed     shared    in conflict")
      lines += overlap.layers.enumerated().map { Self.row("\($0)", $1) }
      if overlap.others.changed > 0 { lines.append(Self.row("other", overlap.others)) }
      lines.append(Self.row("all", overlap.total))
    }
    if let out, let model {
      lines.append(
        "\(out): \(model.weights) weights, \(NumberText.bytes(model.bytes)) in \(NumberText.duration(model.seconds)), and "
          + "\(NumberText.duration(model.flushSeconds)) until the disk had them; peak memory \(NumberText.bytes(peakMemory))"
      )
    }
    return lines.joined(separator: "\n")
  }

  private static func row(_ name: String, _ counts: TicketOverlap.Counts) -> String {
    name.leftPadded(to: 5) + "\(counts.changed)".leftPadded(to: 9) + "\(counts.shared)".leftPadded(to: 11)
      + "\(counts.conflicts)".leftPadded(to: 15)
  }
}
