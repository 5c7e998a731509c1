/// A page without any outside resource: styles and drawings are inside, and there is no script.
package struct HTMLPage {
  package var title: String
  /// HTML of what stands under the title.
  package var content: String

  package init(title: String, content: String) {
    self.title = title
    self.content = content
  }

  package var html: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(escaped(title))</title>
    <style>
    \(Self.style)
    </style>
    </head>
    <body>
    <main>
    <h1>\(escaped(title))</h1>
    \(content)</main>
    </body>
    </html>

    """
  }

  /// A part with its heading.
  package static func section(_ heading: String, _ content: String) -> String {
    "<section>\n<h2>\(escaped(heading))</h2>\n\(content)</section>\n"
  }

  private static let style = """
    :root { color-scheme: light dark; --ink: #1d2330; --soft: #5c6575; --rule: #dde1e8; --card: #f5f7fa; --page: #fff;
      --one: #2563c9; --two: #d9691e; --three: #2a8a57; --four: #8a4fbf; --five: #b3362b; --six: #6b7280; --heat: #2563c9; --cold: #d9691e; --good: #1d7a48; --bad: #b3362b; }
    @media (prefers-color-scheme: dark) {
      :root { --ink: #e4e8ef; --soft: #9aa4b5; --rule: #333b48; --card: #1d232d; --page: #14181f;
        --one: #6aa2ff; --two: #f09a5a; --three: #5fc592; --four: #bb8aef; --five: #f0857b; --six: #9aa4b5; --heat: #4c8df5; --cold: #f09a5a; --good: #5fc592; --bad: #f0857b; } }
    body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
    main { max-width: 800px; margin: 0 auto; padding: 32px 20px 64px; }
    h1 { font-size: 26px; line-height: 1.25; margin: 0 0 6px; }
    h2 { font-size: 18px; margin: 40px 0 12px; padding-bottom: 6px; border-bottom: 1px solid var(--rule); }
    .lead { color: var(--soft); margin: 0 0 20px; }
    .note { color: var(--soft); font-size: 13px; margin: 6px 0; }
    .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(138px, 1fr)); gap: 10px; margin: 20px 0 0; }
    .tile { background: var(--card); border-radius: 8px; padding: 10px 14px; }
    .tile span { display: block; color: var(--soft); font-size: 13px; }
    .tile b { font-size: 21px; font-variant-numeric: tabular-nums; }
    table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: 0 0 16px; }
    th, td { padding: 5px 10px; border-bottom: 1px solid var(--rule); vertical-align: top; }
    th { text-align: left; font-weight: 500; }
    thead th { color: var(--soft); font-size: 13px; }
    .figures td, .figures thead th:not(:first-child) { text-align: right; white-space: nowrap; }
    .pairs th { color: var(--soft); width: 14em; }
    .pairs td { overflow-wrap: anywhere; }
    figure { margin: 0 0 22px; }
    figcaption { display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: baseline; margin-bottom: 4px; }
    .key { color: var(--soft); font-size: 13px; }
    .swatch { display: inline-block; width: 18px; height: 3px; margin-right: 6px; vertical-align: middle;
      background: var(--one); }
    .swatch.s2 { background: var(--two); } .swatch.s3 { background: var(--three); }
    .swatch.s4 { background: var(--four); } .swatch.s5 { background: var(--five); } .swatch.s6 { background: var(--six); }
    svg { display: block; width: 100%; height: auto; }
    .wide { overflow-x: auto; } .wide svg { min-width: 560px; }
    .grid { stroke: var(--rule); } .axis { stroke: var(--soft); fill: none; }
    .tick, .label, .cell { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
    .cell { fill: var(--ink); } .cell.on { fill: #fff; } .heat { fill: var(--heat); } .cold { fill: var(--cold); }
    .line { fill: none; stroke: var(--one); stroke-width: 2; stroke-linejoin: round; }
    .line.s2 { stroke: var(--two); } .line.s3 { stroke: var(--three); }
    .line.s4 { stroke: var(--four); } .line.s5 { stroke: var(--five); } .line.s6 { stroke: var(--six); }
    .line.raw { stroke-width: 1; stroke-opacity: .35; }
    .dot { fill: var(--one); } .dot.s2 { fill: var(--two); } .dot.s3 { fill: var(--three); }
    .dot.s4 { fill: var(--four); } .dot.s5 { fill: var(--five); } .dot.s6 { fill: var(--six); }
    .sample { background: var(--card); border-radius: 8px; padding: 12px 16px; margin: 0 0 12px; }
    pre, code { font: 13px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
    .prompt { margin: 0 0 10px; color: var(--soft); }
    dl { display: grid; grid-template-columns: 9.5em 1fr; gap: 4px 12px; margin: 0; }
    dt { color: var(--soft); font-size: 13px; } dd { margin: 0; min-width: 0; }
    .good { color: var(--good); } .bad { color: var(--bad); }
    """
}
