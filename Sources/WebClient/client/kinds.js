// @ts-check
// The icon, the colour and the sound of each type.

const ICONS = {
  check: 'M5 13l4 4L19 7',
  info: 'M12 11v6M12 7v.1M12 3a9 9 0 1 0 .1 0',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13',
  folder: 'M3 19V5h6l2 3h10v11z',
  cross: 'M6 6l12 12M18 6L6 18',
  alert: 'M12 9v4M12 17v.1M12 3L2 20h20z',
  chat: 'M4 5h16v11H10l-4 4v-4H4z',
  card: 'M3 6h18v12H3zM3 10h18',
  bell: 'M4 18l2-2v-5a6 6 0 0 1 12 0v5l2 2zM10 21h4',
};

// The first that fits decides.
const WORDS = [
  ['fail|error|declin', 'cross', 'red'],
  ['delet|remov|cancel', 'trash', 'gray'],
  ['succe|complet|paid|releas|resolv', 'check', 'green'],
  ['incident|alert|warn|mainten|expir', 'alert', 'amber'],
  ['comment|message|mention|reply', 'chat', 'blue'],
  ['payment|invoice|escrow|subscription', 'card', 'purple'],
  ['import|export|file', 'folder', 'purple'],
  ['creat', 'check', 'green'],
  ['updat|info|system', 'info', 'blue'],
  ['', 'bell', 'blue'],
];
const SOUNDS = { green: [660, 880], red: [440, 330] };
const kinds = new Map();
let audio;

export const setKind = (type, kind) => void kinds.set(type, kind);

export const kindOf = (type) => {
  const [, icon, color] = WORDS.find(([word]) => RegExp(word).test(type));
  const kind = { icon, color, ...kinds.get(type) };
  return { sound: SOUNDS[kind.color] ?? [784], ...kind };
};

export const iconOf = (name) => {
  const [svg, path] = ['svg', 'path'].map((tag) =>
    document.createElementNS('http://www.w3.org/2000/svg', tag));
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.ariaHidden = 'true';
  path.setAttribute('d', ICONS[name] ?? name);
  svg.append(path);
  return svg;
};

/** Browsers demand that a person was active in the page. */
export const ring = (type) => {
  if (!navigator['userActivation']?.hasBeenActive) return;
  audio ??= new AudioContext();
  const volume = new GainNode(audio);
  volume.connect(audio.destination);
  kindOf(type).sound.forEach((frequency, index) => {
    const start = audio.currentTime + index / 8;
    const tone = new OscillatorNode(audio, { frequency });
    volume.gain.setValueAtTime(0.1, start).exponentialRampToValueAtTime(0.001, start + 0.3);
    tone.connect(volume);
    tone.start(start);
    tone.stop(start + 0.3);
  });
};
