// What the page says, in its two languages.

const ENGLISH = {
  skip: "Skip to the results",
  promise: "Everything runs in your browser. No picture leaves your device.",
  language: "Language",
  controls: "Controls",
  stage: "Picture",
  results: "Faces",
  timelines: "Emotions over time",
  open: "Open a picture",
  camera: "Start the camera",
  cameraStop: "Stop the camera",
  emotionModel: "Emotion model",
  showGender: "Show gender",
  saveJson: "Save JSON",
  saveCsv: "Save CSV",
  drop: "Drop or paste a picture here, or open one.",
  aboutModel: "About this model",
  limits: "Limits",
  loading: "Loading the models …",
  ready: "Ready.",
  notReady: "The page is not ready.",
  working: "Looking for faces …",
  none: "No face found.",
  found: (count) => (count === 1 ? "1 face found." : `${count} faces found.`),
  cameraRuns: "The camera is running.",
  cameraStopped: "The camera is off.",
  face: (number) => `Face ${number}`,
  frames: (rate) => `${rate.toFixed(0)} frames per second`,
  noPicture: (name) => `${name} is not a picture that this browser can read. Try a JPEG or PNG file.`,
  onlyFirst: (name) => `Only one picture is shown at a time: ${name}. The other files were ignored.`,
  noCamera: "No camera was found. You can open a picture instead.",
  cameraDenied: "The browser does not allow this page to use the camera. Grant it access, then start the camera again.",
  cameraFails: "The camera cannot be used here. Another program may be using it, or this page was not loaded over https.",
  modelFails: "A model could not be loaded. Check the connection and reload the page.",
  timelineOf: (number, label) => `Emotions of face ${number} over the last 30 seconds, now ${label}`,
  pictureOf: (labels) => (labels.length ? `Faces in the picture: ${labels.join("; ")}` : "Picture without a face"),
  cardName: "Name",
  cardParameters: "Parameters",
  cardClasses: "Classes",
  cardData: "Trained on",
  cardAccuracy: "Accuracy",
  accuracyOn: (share, low, high, split, n) =>
    `${share} on ${n} faces of ${split} (95% confidence interval: ${low} to ${high})`,
  cardWeaknesses: "Known weaknesses",
  limitTexts: [
    "A label says which emotion a face seems to show, as judged by the people who labelled the training pictures. It does not say what somebody feels.",
    "Many faces get a different label from the one that people gave them; “About this model” says how many. Fear, sadness and anger are confused most often.",
    "Small, blurred or dark faces are often missed or labelled wrongly. Nothing has been measured for covered faces and profiles.",
    "“Gender” is how annotators saw a face, in two classes, not a person's gender. For people who fit neither class, both answers are wrong.",
    "Do not use this page to judge, select or monitor people. In the European Union, inferring emotions at work and in education is prohibited (Regulation (EU) 2024/1689, article 5).",
  ],
  classes: {},
};

const GERMAN = {
  skip: "Zu den Ergebnissen",
  promise: "Alles wird in Ihrem Browser berechnet. Kein Bild verlässt Ihr Gerät.",
  language: "Sprache",
  controls: "Bedienung",
  stage: "Bild",
  results: "Gesichter",
  timelines: "Emotionen im Zeitverlauf",
  open: "Bild öffnen",
  camera: "Kamera starten",
  cameraStop: "Kamera stoppen",
  emotionModel: "Emotionsmodell",
  showGender: "Geschlecht anzeigen",
  saveJson: "JSON speichern",
  saveCsv: "CSV speichern",
  drop: "Ziehen Sie ein Bild hierher, fügen Sie eines aus der Zwischenablage ein oder öffnen Sie eine Datei.",
  aboutModel: "Über dieses Modell",
  limits: "Grenzen",
  loading: "Die Modelle werden geladen …",
  ready: "Bereit.",
  notReady: "Die Seite ist nicht bereit.",
  working: "Gesichter werden gesucht …",
  none: "Kein Gesicht gefunden.",
  found: (count) => (count === 1 ? "1 Gesicht gefunden." : `${count} Gesichter gefunden.`),
  cameraRuns: "Die Kamera läuft.",
  cameraStopped: "Die Kamera ist aus.",
  face: (number) => `Gesicht ${number}`,
  frames: (rate) => `${rate.toFixed(0)} Bilder pro Sekunde`,
  noPicture: (name) => `Dieser Browser kann ${name} nicht als Bild öffnen. Versuchen Sie es mit einer JPEG- oder PNG-Datei.`,
  onlyFirst: (name) => `Es wird immer nur ein Bild angezeigt: ${name}. Die übrigen Dateien wurden ignoriert.`,
  noCamera: "Es wurde keine Kamera gefunden. Sie können stattdessen ein Bild öffnen.",
  cameraDenied: "Der Browser erlaubt dieser Seite den Zugriff auf die Kamera nicht. Geben Sie die Kamera frei und starten Sie sie erneut.",
  cameraFails: "Die Kamera lässt sich hier nicht verwenden. Vielleicht ist sie durch ein anderes Programm belegt, oder die Seite wurde nicht über https geladen.",
  modelFails: "Ein Modell konnte nicht geladen werden. Prüfen Sie die Verbindung und laden Sie die Seite neu.",
  timelineOf: (number, label) => `Emotionen von Gesicht ${number} in den letzten 30 Sekunden, jetzt ${label}`,
  pictureOf: (labels) => (labels.length ? `Gesichter im Bild: ${labels.join("; ")}` : "Bild ohne Gesicht"),
  cardName: "Name",
  cardParameters: "Parameter",
  cardClasses: "Klassen",
  cardData: "Trainiert mit",
  cardAccuracy: "Trefferquote",
  accuracyOn: (share, low, high, split, n) =>
    `${share} bei ${n} Gesichtern aus ${split} (95-%-Konfidenzintervall: ${low} bis ${high})`,
  cardWeaknesses: "Bekannte Schwächen",
  limitTexts: [
    "Das Ergebnis sagt, welche Emotion ein Gesicht zu zeigen scheint. Maßstab ist das Urteil der Menschen, die die Trainingsbilder eingeordnet haben. Was jemand fühlt, sagt es nicht.",
    "Bei vielen Gesichtern weicht das Ergebnis vom Urteil dieser Menschen ab; wie oft, steht unter „Über dieses Modell“. Angst, Trauer und Wut werden am häufigsten verwechselt.",
    "Kleine, unscharfe oder dunkle Gesichter werden oft übersehen oder falsch eingeordnet. Für verdeckte Gesichter und Profilansichten liegen keine Messungen vor.",
    "„Geschlecht“ meint, welcher von zwei Klassen Betrachter ein Gesicht zuordnen würden, nicht das Geschlecht eines Menschen. Für Menschen, die in keine der beiden Klassen passen, ist jede Antwort falsch.",
    "Verwenden Sie diese Seite nicht, um Menschen zu beurteilen, auszuwählen oder zu überwachen. In der Europäischen Union ist es verboten, am Arbeitsplatz und in Bildungseinrichtungen auf Emotionen zu schließen (Verordnung (EU) 2024/1689, Artikel 5).",
  ],
  classes: {
    angry: "wütend", disgust: "angewidert", fear: "ängstlich", happy: "fröhlich", sad: "traurig",
    surprise: "überrascht", neutral: "neutral", contempt: "verächtlich",
    anger: "wütend", happiness: "fröhlich", sadness: "traurig",
    woman: "Frau", man: "Mann",
  },
};

const LANGUAGES = { en: ENGLISH, de: GERMAN };
let current = "en";

/** Choose the language of the browser, or one of `LANGUAGES`. */
export function chooseLanguage(name = navigator.language.slice(0, 2)) {
  current = name in LANGUAGES ? name : "en";
  document.documentElement.lang = current;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = say(element.dataset.text);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
  return current;
}

/** Return a text of the page. */
export function say(key, ...values) {
  const text = LANGUAGES[current][key];
  return typeof text === "function" ? text(...values) : text;
}

/** Return a share, 0 to 1, as a percentage. */
export function percent(share, digits = 0) {
  const form = { style: "percent", minimumFractionDigits: digits };
  return share.toLocaleString(document.documentElement.lang, form);
}

/** Return what a class is called. */
export function classNamed(name) {
  return LANGUAGES[current].classes[name] ?? name;
}
