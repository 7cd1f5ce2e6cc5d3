// The parts every page is built of.
export { Button, ButtonLink } from './button';
export { Check, Field, Radios, Select, TextArea, TextField, type Choice } from './field';
export { Form } from './form';
export { Table, type Column } from './table';
export { Confirm, Dialog } from './dialog';
export { Banner, EmptyState, ErrorBanner, ErrorState, NoRight, Skeleton } from './feedback';
export { toast, Toasts } from './toast';
export { Age, Time } from './time';
export { Facts, State, type Shape } from './state';
