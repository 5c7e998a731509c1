/// Text made safe for an element's content or a quoted attribute.
package func escaped(_ text: String) -> String {
  var result = ""
  result.reserveCapacity(text.utf8.count)
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    case "\n", "\t": result.unicodeScalars.append(scalar)
    // Control characters are not allowed in HTML, escaped or not.
    case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value): result += "\u{FFFD}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}

/// A table whose columns after the first are figures, unless told otherwise.
package struct HTMLTable {
  package var head: [String]
  package var rows: [[String]]
  package var figures: Bool

  package init(head: [String], rows: [[String]], figures: Bool = true) {
    self.head = head
    self.rows = rows
    self.figures = figures
  }

  package var html: String {
    let style = figures ? "figures" : "pairs"
    let header =
      head.isEmpty ? "" : "<thead><tr>" + head.map { "<th>\(escaped($0))</th>" }.joined() + "</tr></thead>"
    let body = rows.map { row in
      "<tr>"
        + row.enumerated().map { $0 == 0 ? "<th scope=\"row\">\(escaped($1))</th>" : "<td>\(escaped($1))</td>" }
        .joined()
        + "</tr>"
    }.joined(separator: "\n")
    return "<table class=\"\(style)\">\(header)<tbody>\n\(body)\n</tbody></table>\n"
  }
}
